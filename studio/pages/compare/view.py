"""How a comparison is drawn: one card per column, the base grey, everybody else in the colours of the series."""

from collections.abc import Sequence
from html import escape

from studio.pages import parts, words
from studio.pages.compare.conversation import Column, Message, Talk
from studio.pages.copying import copy_button
from studio.pages.events import action

LETTERS = "ABCD"
ROLES = {"": "", "base": "Base model ", "adapter": "Adapter ", "mix": "", "checkpoint": "Checkpoint "}
STOPPED = {"length": "cut at the longest answer allowed", "cancel": "stopped"}


def columns(talk: Talk) -> str:
    """All columns beside each other; on a phone they are swiped through."""
    drawn = "".join(_column(talk, column, place) for place, column in enumerate(talk.columns))
    order = "in a hidden order" if talk.hidden else "in the order chosen above"
    if talk.blind and not talk.hidden:
        order = "in the order in which they were hidden"
    return f'<div class="ls-answers n{len(talk.columns)}" role="group" aria-label="Answers, {order}">{drawn}</div>'


def _column(talk: Talk, column: Column, place: int) -> str:
    role = ROLES[kind_of(column.who)]
    said = _conversation(talk, column, place) if column.messages else '<p class="ls-muted">Its answer comes here.</p>'
    busy = ' aria-busy="true"' if column.waiting else ""
    swatch = "" if talk.hidden else f'<span class="sw" style="background:var(--ls-s{column.colour})"></span>'
    return (
        f'<section class="ls-card ls-answer" tabindex="0" aria-label="{role}{escape(column.name)}"{busy}>'
        f'<header class="ls-col-h">{swatch}<b title="{escape(column.name)}">{parts.text(column.name)}</b>'
        f'<span class="r">{speed(column.done)}</span></header>'
        f'<div class="ls-said">{said}</div><div class="foot">{_foot(talk, column, place)}</div></section>'
    )


def kind_of(who: str) -> str:
    """What answers, by how it is written in lineup.py; nothing while it is hidden."""
    if who in ("", "base"):
        return who
    return "mix" if "*" in who else "checkpoint" if "@" in who else "adapter"


def _conversation(talk: Talk, column: Column, place: int) -> str:
    turns, number = [], 0
    for message in column.messages:
        turns.append(_turn(message, number, place, _editable(talk)))
        number += message.role == "user"
    if column.waiting:
        typing = '<span class="ls-caret" aria-label="answering"></span>'
        if column.messages[-1].role == "user":
            typing = f'<div class="a">{_in_line(talk.position)}{typing}</div>'
        turns.append(typing)
    turns += [f'<p class="ls-note">{parts.text(column.notice)}</p>'] * bool(column.notice)
    return "".join(turns)


def _editable(talk: Talk) -> bool:
    """A question can be asked otherwise when all have answered, and before the names are shown."""
    return not any(column.waiting for column in talk.columns) and (talk.hidden or not talk.blind)


def _in_line(position: int) -> str:
    """Why nothing is written yet, when others' answers come first."""
    return f'<span class="ls-muted">Waits for its turn: number {position} in line.</span> ' if position else ""


def _turn(message: Message, number: int, place: int, editable: bool) -> str:
    if message.role == "user":
        label = f"Edit turn {number + 1}"
        edit = action("Edit", "edit", str(number), quiet=True, label=label, on="edit", skipped=place > 0)
        return f'<div class="q">{parts.text(message.content)}{edit if editable else ""}</div>'
    if not message.content.strip():
        return '<div class="a ls-muted">(an empty answer)</div>'
    return f'<div class="a">{parts.text(message.content)}</div>'


def speed(done: dict | None) -> str:
    """ "49 tok · 29 tok/s", once there is something to tell."""
    if not done or not done.get("tokens"):
        return ""
    return f"{words.count(done['tokens'])} tok · {words.count(done.get('tokens_per_second') or 0)} tok/s"


def _foot(talk: Talk, column: Column, place: int) -> str:
    if column.waiting and not talk.hidden and talk.stream and len(talk.asked) > 1:
        stop = action("Stop this one", "stop", str(place), label=f"Stop {column.name}", on="input")
        return f'<span class="ls-proof"></span>{stop}'
    if not column.done:
        return ""
    stopped = STOPPED.get(str(column.done.get("stopped_by")), "")
    tried = f"draw {column.tries + 1}" if column.tries else ""
    told = (proof(column.done.get("proof")), first_token(column.done), tried, stopped)
    said = " · ".join(part for part in told if part)
    again = column.answer and _editable(talk) and not talk.blind and not talk.hidden
    redo = action("Again", "again", str(place), label=f"Ask {column.name} again") if again else ""
    copy = copy_button(column.answer) if column.answer else ""
    label = f"Mend the data from the answer of {column.name}"
    mend = action("Mend", "mend", str(place), label=label, on="select") if column.answer and not talk.hidden else ""
    return f'<span class="ls-proof">{escape(said)}</span>{redo}{mend}{copy}'


def first_token(done: dict) -> str:
    """ "first token after 0.08 s": how long one waited for the answer to begin."""
    seconds = done.get("first_token_seconds")
    return f"first token after {seconds:.2f}\u00a0s" if isinstance(seconds, int | float) else ""


def proof(told: dict | None) -> str:
    """Which weights answered, in words: the worker's own report, not what was asked for."""
    if not told:
        return ""
    check = f" · base self-check {told['self_check']}" if told.get("self_check") else ""
    if told.get("mix"):
        moved = len(told.get("weights_changed") or ())
        moves = f" · weights moved {words.plural(moved, 'time')} while it was written" if moved else ""
        return (
            f"{told.get('name')} · changed {words.plural(int(told.get('layers_changed') or 0), 'layer')}{moves}{check}"
        )
    if told.get("server"):  # not our worker: nothing of it was seen, so nothing is said of layers
        return f"{told.get('name') or 'base'} · {told['self_check']}"
    if told.get("adapter") is None and not told.get("checkpoint"):
        return f"base · no layer changed{check}"
    if tokens := int(told.get("virtual_tokens") or 0):
        return (
            f"adapter {told.get('name') or told['adapter']} · {words.plural(tokens, 'learned token')} in front{check}"
        )
    kind = "checkpoint" if told.get("checkpoint") else "adapter"
    return f"{kind} {told.get('name') or told['adapter']} · changed {words.plural(int(told.get('layers_changed') or 0), 'layer')}{check}"


def ballot(talk: Talk, busy: bool) -> str:
    """The vote: its buttons wait until every column has answered, and each names the key that presses it."""
    if not talk.hidden:
        return ""
    locked = " disabled" if busy or not talk.votable else ""
    names = [(f"{LETTERS[place]} is better", LETTERS[place], str(place + 1)) for place in range(len(talk.columns))]
    drawn = "".join(
        f'<button type="button" class="ls-btn" data-act="vote" data-id="{choice}" data-key="{key.lower()}" aria-keyshortcuts="{key}"{locked}>'
        f"{words}<kbd>{key}</kbd></button>"
        for words, choice, key in (*names, ("About the same", "tie", "T"), ("All bad", "bad", "B"))
    )
    if busy:
        hint = "The vote opens when every column has answered. All of them are written in step, so that speed tells nothing."
    elif locked:
        hint = "Ask something: the names and numbers stay hidden until you have voted."
    else:
        keys = '<span class="ls-hide-phone"> Click, or press a key while the vote is outlined.</span>'
        hint = f"Which answer is best?{keys} Asking further keeps the order."
    return f'<div class="ls-votes" role="group" aria-label="Your vote" tabindex="-1">{drawn}</div><p class="ls-sub ls-hint">{hint}</p>'


def verdict(talk: Talk, choice: str, standing: Sequence[tuple[str, str]] = ()) -> str:
    """After the vote: what it said with the names, and how each adapter (name, sentence) stands against the base by now."""
    names = dict(zip(LETTERS, talk.columns, strict=False))
    if choice in names:
        model = names[choice]
        kinds = {
            "base": "the base model ",
            "adapter": "the adapter ",
            "mix": "the mix ",
            "checkpoint": "the checkpoint ",
        }
        who = kinds.get(kind_of(model.who), "")
        words = f"You found answer {choice} best: {who}{model.name.partition(' · ')[2]}."
    else:
        words = {"tie": "You found them about the same.", "bad": "You found all of them bad."}[choice]
    so_far = " ".join(f"{name}: {sentence}" for name, sentence in standing)
    after = "The next question begins a new comparison, shuffled again."
    link = parts.button("All votes", f"/votes?model={talk.base_model}", small=True)
    return parts.banner("ok", words, f"{so_far} {after}".strip(), link)


def differences(pairs: Sequence[tuple[str, Sequence[tuple[str, str]]]], hidden: bool = False) -> str:
    """(column's name, its word differences against the base), one paragraph each."""
    if hidden:
        return (
            '<p class="ls-sub">Hidden until you have voted: the differences would tell which answer is the base\'s.</p>'
        )
    if not pairs:
        return '<p class="ls-sub">Ask something: what an adapter says differently from the base is marked here.</p>'
    tags = {"added": "ins", "removed": "del"}

    def marked(parts_of: Sequence[tuple[str, str]]) -> str:
        return "".join(
            f"<{tags[kind]}>{escape(text)}</{tags[kind]}>" if kind in tags else escape(text) for kind, text in parts_of
        )

    return "".join(
        f'<h3 class="ls-h2">{parts.text(name)}</h3><p class="ls-diff">{marked(found)}</p>' for name, found in pairs
    )


KEYS = (
    ("Enter", "Send the question; with Shift, begin a new line"),
    ("Esc", "Stop the answers; otherwise go to the question"),
    ("↑", "In the empty question: edit the last one"),
    ("← →", "From column to column"),
    ("R  S  C", "In a column: ask again, stop it, copy its answer"),
    ("1–4  T  B", "In the vote: the best answer, about the same, all bad"),
)


def keys() -> str:
    """What the keyboard does, folded away (assets/compare.js)."""
    rows = "".join(f"<dt><kbd>{key}</kbd></dt><dd>{escape(words)}</dd>" for key, words in KEYS)
    return f'<details class="ls-keys"><summary>Keys</summary><dl>{rows}</dl></details>'
