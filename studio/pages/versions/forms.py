"""A row as a form in the browser, one box for each text, and what comes back of it as a row."""

from collections.abc import Sequence
from html import escape
from typing import Any

from studio.formats import Kind
from studio.learning import Row
from studio.pages.events import action

ROLES = {"system": "System (leave empty for none)", "user": "User", "assistant": "Answer"}
SIDES = {"chosen": "Chosen answer", "rejected": "Rejected answer"}
# A constant. Buttons hand their act and id to the click listener, a form's texts go to the submit listener; both check them again.
FORMS = """
const turn = (form, role, label) => {
  const box = document.createElement('label');
  box.className = 'ls-box';
  box.append(label, Object.assign(document.createElement('textarea'), { rows: 3 }));
  Object.assign(box.lastChild.dataset, { part: 'messages', role });
  form.querySelector('[data-turns]').append(box);
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (!button || button.disabled) return;
  if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) return;
  const act = button.dataset.act, form = button.closest('[data-form]');
  if (act === 'longer') { turn(form, 'user', 'User'); turn(form, 'assistant', 'Answer'); return; }
  if (act === 'shorter') {
    const boxes = form.querySelectorAll('[data-turns] > label');
    if (boxes.length > 2) { boxes[boxes.length - 1].remove(); boxes[boxes.length - 2].remove(); }
    return;
  }
  if (act === 'put') {
    const fields = [...form.querySelectorAll('textarea')].map((box) => ({ ...box.dataset, content: box.value }));
    const held = form.querySelector('[data-heldout]');
    trigger('submit', { id: form.dataset.form, fields, heldout: !!(held && held.checked) });
    return;
  }
  const why = element.querySelector('[data-why]');
  trigger('click', { act, id: button.dataset.id, why: why ? why.value : '' });
});
"""
EMPTY: dict[Kind, Row] = {
    "conversations": {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]},
    "preference": {
        "messages": [{"role": "user", "content": ""}],
        "chosen": [{"role": "assistant", "content": ""}],
        "rejected": [{"role": "assistant", "content": ""}],
    },
    "text": {"text": ""},
}


def form(id: str, title: str, row: Row, heldout: bool) -> str:
    """Boxes for every text of a row. `id` comes back with them."""
    held = " checked" if heldout else ""
    more = ""
    if "text" not in row and "chosen" not in row:
        more = action("One more turn", "longer", id) + action("Without the last turn", "shorter", id)
    return (
        f'<div class="ls-form" role="group" aria-label="{escape(title)}" data-form="{escape(id)}">'
        f'<h3 class="ls-side">{escape(title)}</h3>{_boxes(row)}'
        f'<label class="ls-tick"><input type="checkbox" data-heldout{held}> Held out: measured on, not trained on</label>'
        f'<div class="ls-row"><button type="button" class="ls-btn s p" data-act="put" data-id="{escape(id)}">Keep this change</button>'
        f"{action('Leave it', 'leave', id)}{more}</div></div>"
    )


def _boxes(row: Row) -> str:
    if "text" in row:
        return _box("text", "", "Text", row["text"], 12)
    messages = row["messages"]
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else ""
    turns = [message for message in messages if message["role"] != "system"]
    drawn = _box("messages", "system", ROLES["system"], system, 2)
    drawn += f"<div data-turns>{''.join(_message('messages', message) for message in turns)}</div>"
    for side, label in SIDES.items():
        drawn += "".join(
            _message(side, message, label if message["role"] == "assistant" else "") for message in row.get(side, ())
        )
    return drawn


def _message(part: str, message: dict[str, Any], label: str = "") -> str:
    learn = message.get("learn")
    marked = {True: " (marked to be learned)", False: " (marked not to be learned)"}.get(learn, "")
    label = (label or ROLES[message["role"]]) + marked
    return _box(part, message["role"], label, message["content"], 4 if message["role"] == "assistant" else 3, learn)


def _box(part: str, role: str, label: str, text: str, lines: int, learn: bool | None = None) -> str:
    said = "" if learn is None else f' data-learn="{int(learn)}"'
    # The line break after the tag is eaten by the browser: without it, the text's own first one would be
    return (
        f'<label class="ls-box">{escape(label)}<textarea rows="{lines}" data-part="{part}" data-role="{role}"{said}>\n'
        f"{escape(text)}</textarea></label>"
    )


def value_of(said: Any, kind: Kind, was: Row | None = None) -> dict[str, Any]:
    """The row that a form's boxes describe, to be checked like every row. `was` is the row that the form was drawn from.

    A browser writes every line end as \\n: a text of which nothing else has changed stays as it was.
    """
    boxes = [box for box in said if isinstance(box, dict)] if isinstance(said, Sequence) else []
    old = {text.replace("\r\n", "\n").replace("\r", "\n"): text for text in _texts(was or {})}
    texts = [(box, old.get(str(box.get("content", "")), str(box.get("content", "")))) for box in boxes]
    if kind == "text":
        return {"text": "".join(text for _, text in texts)}
    parts = {
        part: [_written(box, text) for box, text in texts if box.get("part") == part] for part in ("messages", *SIDES)
    }
    if parts["messages"] and parts["messages"][0]["role"] == "system" and not parts["messages"][0]["content"].strip():
        parts["messages"].pop(0)
    if kind == "preference":
        return {"prompt": parts["messages"], "chosen": parts["chosen"], "rejected": parts["rejected"]}
    return {"messages": parts["messages"]}


def _written(box: dict[str, Any], text: str) -> dict[str, Any]:
    message = {"role": str(box.get("role", "")), "content": text}
    return {**message, "weight": int(box["learn"] == "1")} if box.get("learn") in ("0", "1") else message


def _texts(row: Row) -> list[str]:
    messages = [message for part in ("messages", *SIDES) for message in row.get(part, ())]
    return [message["content"] for message in messages] or [row.get("text", "")]
