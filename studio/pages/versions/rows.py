"""Rows of a data set: search them, change, drop, add or hold out some, undo, and save all of it as the next version."""

import contextlib
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio import datasets
from studio.errors import Conflict, NotFound, StudioError
from studio.pages import parts, words
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, on_load, plain
from studio.pages.versions import forms
from studio.pages.versions import rows_view as view
from studio.records import Dataset
from studio.row_checks.kinds import CHECKS
from studio.rows import read_rows
from studio.studio import Studio
from studio.versions import checking, drafts, lineage, searching
from studio.versions.edits import Edit

SHOWN = 10
WHICH = [("All rows", ""), ("Held out", "held"), ("Trained on", "trained")]
HELD = {"held": True, "trained": False}
ANY = ("With or without", "")
# Keeps what is looked for in the address, so that a reload and a link show the same rows.
REMEMBER = """(version, q, which, finding, start, editing) => {
  const to = new URL(location);
  for (const [name, value] of [['q', q], ['show', which], ['finding', finding]])
    value ? to.searchParams.set(name, value) : to.searchParams.delete(name);
  history.replaceState(null, '', to);
  return [version, q, which, finding, start, editing];
}"""
# An address that asks for a kind of finding is about these rows: they are brought into view.
INTO_VIEW = """() => { if (new URLSearchParams(location.search).get('finding') && location.hash === '#rows')
  setTimeout(() => { const rows = document.getElementById('rows'); if (rows) rows.scrollIntoView(); }, 300) }"""


@dataclass
class Rows:
    """The parts of the section."""

    column: gr.Column
    q: gr.Textbox
    which: gr.Dropdown
    finding: gr.Dropdown
    """Name of a check, or nothing."""
    start: gr.Number
    rows: gr.HTML
    version: gr.Number
    """That the page shows, so that an edit is never made on another one than was looked at."""
    editing: gr.Textbox
    """Which row's form is open: its number, view.NEW, or nothing."""
    goes_to: gr.Textbox

    @property
    def looked_for(self) -> list[gr.components.Component]:
        return [self.version, self.q, self.which, self.finding, self.start, self.editing]

    @property
    def drawn(self) -> list[gr.components.Component]:
        return [self.rows, self.start, self.editing]


def section(studio: Studio) -> None:
    """The rows of the data set and version that the address names; hidden while it names none."""
    on = layout()

    def open_it(request: gr.Request):
        found = asked_for(studio, request)
        if found is None:
            return gr.update(visible=False), 1, "", "", gr.update(), ""
        q, which, finding, kinds = asked_rows(studio, request, *found)
        choices = gr.update(choices=kinds, value=finding, visible=len(kinds) > 1)
        drawn = draw(studio, request, found[1], q, which, finding, 1, "")
        return gr.update(visible=True), found[1], q, which, choices, drawn

    def look(version: int, q: str, which: str, finding: str, start: float, editing: str, request: gr.Request):
        return draw(studio, request, version, q, which, finding, start, "")

    def search(version: int, q: str, which: str, finding: str, start: float, editing: str, request: gr.Request):
        return draw(studio, request, version, q, which, finding, 1, ""), 1, ""

    def press(
        event: gr.EventData,
        version: int,
        q: str,
        which: str,
        finding: str,
        start: float,
        editing: str,
        request: gr.Request,
    ):
        start, editing, goes_to = pressed(studio, request, event._data, int(version), int(start or 1))
        return draw(studio, request, version, q, which, finding, start, editing), start, editing, goes_to

    def put(
        event: gr.EventData,
        version: int,
        q: str,
        which: str,
        finding: str,
        start: float,
        editing: str,
        request: gr.Request,
    ):
        keep_change(studio, request, event._data, int(version))
        return draw(studio, request, version, q, which, finding, start, ""), start, ""

    opened = on_load(open_it, [on.column, on.version, on.q, on.which, on.finding, on.rows])
    opened.then(None, js=INTO_VIEW, api_visibility="private")
    changed = [on.q.submit, on.which.input, on.finding.input]
    gr.on(changed, plainly(search), on.looked_for, on.drawn, trigger_mode="always_last", js=REMEMBER, **QUICK)
    on.start.submit(plainly(look), on.looked_for, on.rows, **QUICK)
    # Several buttons may be pressed one right after the other: none of them is passed over
    each = {"trigger_mode": "multiple", **SLOW}
    pressed_one = on.rows.click(plainly(press), on.looked_for, [*on.drawn, on.goes_to], **each)
    pressed_one.success(None, on.goes_to, None, js=GO, api_visibility="private")
    on.rows.submit(plainly(put), on.looked_for, on.drawn, **QUICK)


def layout() -> Rows:
    with gr.Column(visible=False, elem_id="rows", elem_classes=["ls-sec"]) as column:
        plain(
            '<h2 class="ls-h2">Rows</h2><p class="ls-sub">Search and edit them. Edits wait until you save them as a new version; '
            "every older version stays.</p>"
        )
        with gr.Row(elem_classes=["ls-end"]):
            q = gr.Textbox(
                label="Search", placeholder="Words in a row, then Enter", max_lines=1, scale=4, interactive=True
            )
            which = gr.Dropdown(WHICH, value="", label="Show", scale=1, min_width=140, interactive=True)
            finding = gr.Dropdown(
                [ANY], value="", label="Finding", scale=2, min_width=180, visible=False, interactive=True
            )
            start = gr.Number(1, label="From row", precision=0, minimum=1, scale=1, min_width=110, interactive=True)
        rows = gr.HTML("", elem_classes=["ls-plain"], js_on_load=forms.FORMS, apply_default_css=False)
        version, editing = gr.Number(1, visible=False), gr.Textbox(visible=False)
        goes_to = gr.Textbox(visible=False)
    return Rows(column, q, which, finding, start, rows, version, editing, goes_to)


def asked_for(studio: Studio, request: gr.Request) -> tuple[Dataset, int] | None:
    """(data set, version) of the page's address, or None."""
    try:
        dataset = datasets.get_dataset(studio, request.query_params.get("id") or "")
        return dataset, lineage.get_version(studio, dataset.id, asked_version(request)).number
    except StudioError:
        return None


def asked_version(request: gr.Request) -> int | None:
    """The version that the address names; None (the newest) where it names none, or something else than a number."""
    said = request.query_params.get("version") or ""
    return int(said) if said.isdecimal() and said.isascii() and len(said) < 10 and int(said) else None


def asked_rows(
    studio: Studio, request: gr.Request, dataset: Dataset, version: int
) -> tuple[str, str, str, list[tuple[str, str]]]:
    """(words, held out or trained, kind of finding) that the address looks for, and the kinds there are, with their counts."""
    said = request.query_params
    counts = checking.checked_state(studio, dataset.id, version).counts
    kinds = [(f"{CHECKS[name].title} ({words.count(count)})", name) for name, count in counts.items() if name in CHECKS]
    which, finding = said.get("show") or "", said.get("finding") or ""
    known = finding if finding in {name for _, name in kinds} else ""
    return (said.get("q") or "")[:1000], which if which in HELD else "", known, [ANY, *kinds]


def draw(
    studio: Studio, request: gr.Request, version: float, q: str, which: str, finding: str, start: float, editing: str
) -> str:
    found = asked_for(studio, request)
    if found is None:
        return ""
    dataset, version = found[0], int(version)
    begin = max(0, int(start or 1) - 1)
    try:
        draft = drafts.draft_of(studio, dataset.id)
        rows = searching.find_rows(studio, dataset.id, version, q or "", HELD.get(which), begin, SHOWN, finding or "")
        count = lineage.get_version(studio, dataset.id, version).rows
    except StudioError as error:
        return parts.error_banner(error)
    newest = version == dataset.version
    above = "" if newest else view.read_only(version, dataset.version, dataset.id)
    return above + view.listed(rows, draft, dataset.kind, count, begin, editing, newest)


def pressed(studio: Studio, request: gr.Request, said: Any, version: int, start: int) -> tuple[int, str, str]:
    """Do what a button says; (first row shown, form that is open, address to go to)."""
    said = said if isinstance(said, dict) else {}
    act, id, dataset = str(said.get("act", "")), str(said.get("id", "")), request.query_params.get("id") or ""
    row = int(id) if id.isdecimal() and id.isascii() and len(id) < 16 else 0
    if act == "edit":
        return start, id, ""
    if act == "go":
        return row + 1, "", ""
    if act == "drop":
        drafts.add_edits(studio, dataset, version, [Edit(op="drop", row=row)])
    elif act in ("hold", "train"):
        drafts.add_edits(studio, dataset, version, [Edit(op="change", row=row, heldout=act == "hold")])
    elif act == "undo":
        drafts.take_back(studio, dataset, row or None)
    elif act == "discard":
        drafts.discard(studio, dataset)
    elif act == "bring":
        drafts.bring_over(studio, dataset)
        return start, "", f"/data?id={dataset}"
    elif act == "save":
        with contextlib.suppress(Conflict):  # the page, read anew, says what was saved meanwhile and what can be done
            drafts.save_draft(studio, dataset, why=str(said.get("why", "")))
        return start, "", f"/data?id={dataset}"
    return start, "", ""


def keep_change(studio: Studio, request: gr.Request, said: Any, version: int) -> None:
    """A form's row into the draft. Raises Invalid with what is wrong with it, and the form stays open."""
    said = said if isinstance(said, dict) else {}
    found = asked_for(studio, request)
    if found is None:
        raise NotFound("data set", request.query_params.get("id") or "")
    dataset, id, heldout = found[0], str(said.get("id", "")), said.get("heldout") is True
    if id == view.NEW:
        edit = Edit(op="add", value=forms.value_of(said.get("fields"), dataset.kind), heldout=heldout)
    else:
        row = int(id) if id.isdecimal() and id.isascii() and len(id) < 16 else 0
        (was,) = read_rows(studio.data.dataset(dataset.id, version), row - 1, 1) or [None]
        if was is None:
            raise NotFound("row", id)
        value = forms.value_of(said.get("fields"), dataset.kind, was)
        edit = Edit(op="change", row=row, value=value, heldout=heldout)
    drafts.add_edits(studio, dataset.id, version, [edit])
