"""The dialog below an answer: the right answer is written beside the bad one, and lands in a data set's next version.

A page places it with `dialog(studio)` and opens it with `opened(...)`: Compare below an answer, a suite below a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from studio import adapters, datasets, runs
from studio.errors import Invalid, NotFound, StudioError
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import SLOW
from studio.pages.versions import mending_view as view
from studio.plan import invalid_setting
from studio.records import Dataset
from studio.studio import Studio
from studio.versions import drafts, mending
from studio.versions.mending import Mend

# A constant. What is typed comes with every act, so that choosing other data keeps it; the listener checks all of it again.
DIALOG = """
const typed = (act) => {
  const box = element.querySelector('textarea'), name = element.querySelector('[data-name]');
  const replace = element.querySelector('[data-replace]'), into = element.querySelector('select');
  return { act, right: box ? box.value : '', into: into ? into.value : '', replace: !replace || replace.checked,
           name: name ? name.value : '' };
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (button && !button.disabled) trigger('click', typed(button.dataset.act));
});
element.addEventListener('change', (event) => {
  if (event.target.matches('select')) trigger('click', typed('choose'));
});
"""
FOCUS = """() => setTimeout(() => {
  const box = document.querySelector('.ls-mend textarea');
  if (box) { box.focus(); box.closest('.ls-mend').scrollIntoView({ block: 'center' }); }
}, 150)"""


@dataclass
class Dialog:
    place: gr.HTML
    asked: gr.JSON
    """{"messages", "bad", "adapter"}: what is mended."""

    @property
    def outputs(self) -> list:
        """What `opened` fills."""
        return [self.place, self.asked]


def dialog(studio: Studio, source: str = mending.FROM_COMPARE) -> Dialog:
    """Place it, closed. `source` begins the reason of the versions that it makes."""
    place = gr.HTML("", elem_classes=["ls-plain"], js_on_load=DIALOG, apply_default_css=False)
    on = Dialog(place, gr.JSON({}, visible=False))

    def press(event: gr.EventData, asked: Any):
        said = event._data if isinstance(event._data, dict) else {}
        return pressed(
            studio, asked, {name: said.get(name) for name in ("act", "right", "into", "replace", "name")}, source
        )

    place.click(plainly(press), on.asked, place, **SLOW)
    return on


def opened(studio: Studio, messages: Sequence[dict[str, str]], bad: str, adapter: str | None) -> list:
    """The dialog for an answer to these messages (the question last), for `Dialog.outputs`; `adapter` gave it, or the base."""
    asked = {
        "messages": [{"role": each["role"], "content": each["content"]} for each in messages],
        "bad": bad,
        "adapter": adapter,
    }
    return [draw(studio, asked, bad, mending.learned_from(studio, adapter) or ""), asked]


def pressed(studio: Studio, asked: Any, said: dict[str, Any], source: str) -> str:
    """Do what a button says; what the dialog shows then."""
    asked = asked if isinstance(asked, dict) else {}
    right, into, act = str(said["right"] or ""), str(said["into"] or ""), said["act"]
    if act == "choose":
        return draw(studio, asked, right, into)
    if act not in ("save", "collect"):
        return ""
    mend = mend_of(asked, right)
    if into in view.NEW:
        made = mending.new_dataset(studio, view.NEW[into][0], mend, str(said["name"] or ""))
        return view.saved(made, 1, "A new data set begins with this answer.", again(studio, asked, made))
    dataset = datasets.get_dataset(studio, into)
    if act == "collect":
        draft = mending.collect(studio, dataset.id, mend, said["replace"] is True, source=source)
        return view.collected(dataset, len(draft.kept))
    made = mending.mend_data(studio, dataset.id, mend, said["replace"] is True, source=source)
    return view.saved(dataset, made.number, made.why, again(studio, asked, dataset, made.number))


def mend_of(asked: dict[str, Any], right: str) -> Mend:
    try:
        return Mend.model_validate({"messages": asked.get("messages"), "bad": asked.get("bad"), "right": right})
    except ValidationError as error:
        raise invalid_setting(error, Mend) from None


def draw(studio: Studio, asked: dict[str, Any], right: str, into: str) -> str:
    """The dialog with what was typed so far."""
    try:
        mend = mend_of(asked, right)
    except Invalid as error:
        return parts.error_banner(error)
    offered = mending.choices(studio)
    learned = mending.learned_from(studio, asked.get("adapter"))
    offered.sort(key=lambda dataset: dataset.id != learned)
    chosen = next((dataset for dataset in offered if dataset.id == into), None)
    if chosen is None and into not in view.NEW:
        into = view.ANSWERS
    place = mending.same_question(studio, chosen.id, mend) if chosen else None
    waiting = drafts.waiting(studio, chosen.id) if chosen else 0
    return view.dialog(mend, offered, learned, chosen, into, place, waiting)


def again(studio: Studio, asked: dict[str, Any], dataset: Dataset, version: int = 1) -> str:
    """Address of the Train page: the run that made the adapter once more, on this version."""
    try:
        run = adapters.get_adapter(studio, str(asked.get("adapter") or "")).run
        begins = f"from={runs.get_run(studio, run or '').id}&"
    except (NotFound, StudioError):
        begins = ""
    return f"/train?{begins}data={dataset.id}&version={version}"
