"""Findings: what the checks of rows found, row by row, and the fixes: of one row, of all of a kind, kept as a draft until saved."""

import contextlib
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from studio.errors import Conflict, StudioError
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, on_load, plain
from studio.pages.findings import view
from studio.pages.plots.spread import spread
from studio.pages.versions import forms
from studio.pages.versions.rows import asked_for
from studio.row_checks.kinds import CHECKS
from studio.studio import Studio
from studio.versions import checking, drafts
from studio.versions.edits import Edit

SHOWN = 10
LOOKS_SECONDS = 1.5


def section(studio: Studio) -> None:
    """The findings of the version that the address names; hidden while it names none."""
    with gr.Column(visible=False, elem_classes=["ls-sec"]) as column:
        plain(
            '<h2 class="ls-h2">Findings</h2><p class="ls-sub">What the checks found in the rows. A fix becomes part of a new version, '
            "which says what was done; the version that you look at stays.</p>"
        )
        findings = gr.HTML("", elem_classes=["ls-plain"], js_on_load=forms.FORMS, apply_default_css=False)
        opened, goes_to = gr.Textbox(visible=False), gr.Textbox(visible=False)
        watching = gr.Timer(LOOKS_SECONDS, active=False)  # ticks while the second pass runs

    def open_it(request: gr.Request):
        drawn, running = draw(studio, request, "")
        return gr.update(visible=bool(drawn)), drawn, gr.Timer(active=running)

    def watch(opened: str, request: gr.Request):
        drawn, running = draw(studio, request, opened)
        return drawn, gr.Timer(active=running)

    def press(event: gr.EventData, opened: str, request: gr.Request):
        opened, goes_to = pressed(studio, request, event._data, opened)
        drawn, running = draw(studio, request, opened)
        return drawn, opened, goes_to, gr.Timer(active=running)

    on_load(open_it, [column, findings, watching])
    watching.tick(watch, opened, [findings, watching], **QUICK)
    done = findings.click(
        plainly(press), opened, [findings, opened, goes_to, watching], **{"trigger_mode": "multiple", **SLOW}
    )
    done.success(None, goes_to, None, js=GO, api_visibility="private")


def draw(studio: Studio, request: gr.Request, opened: str | None) -> tuple[str, bool]:
    """(the section, whether the second pass runs). `opened` is the kind whose rows are shown, and from which on: "email-0"."""
    found = asked_for(studio, request)
    if found is None:
        return "", False
    dataset, version = found
    check, start = kind_and_place(opened)
    try:
        state = checking.checked_state(studio, dataset.id, version)
        draft = drafts.draft_of(studio, dataset.id)
        page = checking.page_of(studio, dataset.id, version, check, start, SHOWN) if check else None
    except StudioError as error:
        return parts.error_banner(error), False
    editable = version == dataset.version and not draft.stale
    drawn = view.section(state, draft, editable, check, start, page)
    return drawn + spread(state.found, dataset.kind), state.running


def kind_and_place(said: str | None) -> tuple[str, int]:
    """("email", 20) of "email-20"; ("", 0) where nothing is open."""
    check, _, start = (said or "").rpartition("-")
    return (check, int(start)) if check and start.isdecimal() and start.isascii() and len(start) < 16 else ("", 0)


def pressed(studio: Studio, request: gr.Request, said: Any, opened: str) -> tuple[str, str]:
    """Do what a button says; (kind whose rows are shown, address to go to)."""
    said = said if isinstance(said, dict) else {}
    act, id = str(said.get("act", "")), str(said.get("id", ""))
    found = asked_for(studio, request)
    if found is None:
        return "", ""
    dataset, version = found
    check, row = kind_and_place(id)
    if act == "show":
        return (id if check else ""), ""
    if act == "rows" and id in CHECKS:
        return opened or "", rows_with(request, id)
    if act == "look":
        checking.start_check(studio, dataset.id, version)
    elif act == "fix":
        drafts.add_edits(studio, dataset.id, version, [Edit(op="fix", check=check, row=row or None)])
    elif act == "undo" and id.isdecimal() and id.isascii():
        drafts.take_back(studio, dataset.id, int(id))
    elif act == "all":
        drafts.add_edits(studio, dataset.id, version, every_fix(studio, dataset.id, version))
    elif act == "discard":
        drafts.discard(studio, dataset.id)
    elif act == "save":
        with contextlib.suppress(Conflict):  # the page, read anew, says what was saved meanwhile and what can be done
            drafts.save_draft(studio, dataset.id, why=str(said.get("why", "")))
        return "", f"/data?id={dataset.id}"
    return opened or "", ""


def rows_with(request: gr.Request, check: str) -> str:
    """The address of this page with its rows section at the rows that have one kind of finding; what is searched there is kept."""
    asked = {
        name: value for name, value in request.query_params.items() if name in ("id", "version", "model", "q", "show")
    }
    return f"/data?{urlencode({**asked, 'finding': check})}#rows"


def every_fix(studio: Studio, id: str, version: int) -> list[Edit]:
    """A fix for every kind of finding that waits for none yet."""
    waiting = view.fixes_of(drafts.draft_of(studio, id))
    counts = checking.checked_state(studio, id, version).counts
    return [Edit(op="fix", check=check) for check in counts if (check, None) not in waiting]
