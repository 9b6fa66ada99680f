"""Answers: what base and adapters answered to every prompt of a suite, live while it is being answered."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.errors import NotFound
from studio.pages import parts, words
from studio.pages.errors import plainly
from studio.pages.events import QUICK, clickable, clicked, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.pages.suites import run_view
from studio.pages.versions import mending
from studio.records import SuiteRun
from studio.studio import Studio
from studio.suites import results, run_queue, runs

REFRESH_SECONDS = 2
GO_BACK = "() => { location.href = '/suites'; }"


def build(studio: Studio) -> None:
    head = plain(head_html("Suite run", "…"))
    news = plain(visible=False)
    with gr.Row(elem_classes=["ls-act", "ls-run-act"]):
        cancel = gr.Button("Cancel", visible=False, scale=0, min_width=110)
        delete = gr.Button("Delete…", visible=False, scale=0, min_width=110)
    with gr.Row(visible=False, elem_classes=["ls-ask"]) as asking:
        plain(parts.banner("warn", "Delete this run?", "Its answers are gone then. The suite stays."))
        yes = gr.Button("Delete the run", variant="stop", size="sm", scale=0, min_width=150)
        no = gr.Button("No, leave it", size="sm", scale=0, min_width=130)
    body = clickable('<div class="ls-skeleton" style="height:320px" aria-busy="true"></div>')
    mend = mending.dialog(studio, "Mended from a suite")
    seen = gr.Textbox("", visible=False)  # what is drawn, so that a tick without news changes nothing
    timer = gr.Timer(REFRESH_SECONDS, active=False)
    outputs = [head, news, cancel, delete, body, seen, timer]

    def look(request: gr.Request, before: str = "") -> Any:
        query = dict(request.query_params)
        try:
            run = runs.get_suite_run(studio, query.get("id", ""))
        except NotFound:
            return missing(), *[gr.update(visible=False)] * 3, "", "", gr.Timer(active=False)
        mark = f"{run.state}|{run.answered}|{run.doing}|{run.cancel}"
        if mark == before:
            return [gr.skip()] * len(outputs)
        said, is_open = run_view.news(run, run_queue.waiting_before(studio, run)), run.state in runs.OPEN
        return (
            head_of(run), gr.update(value=said, visible=bool(said)), gr.update(visible=is_open and not run.cancel),
            gr.update(visible=not is_open), body_of(studio, run, query), mark, gr.Timer(active=is_open),
        )  # fmt: skip

    def tick(before: str, request: gr.Request):
        return look(request, before)

    def cancelled(request: gr.Request):
        runs.cancel_suite_run(studio, request.query_params.get("id", ""))
        return look(request)

    def deleted(request: gr.Request):
        runs.delete_suite_run(studio, request.query_params.get("id", ""))

    def opened(request: gr.Request):
        return look(request)

    def mended(event: gr.EventData, request: gr.Request):
        return to_mend(studio, dict(request.query_params), clicked(event)[1])

    body.click(plainly(mended), None, mend.outputs, **QUICK).success(None, js=mending.FOCUS, **QUICK)
    on_load(plainly(opened), outputs)
    timer.tick(plainly(tick), seen, outputs, **QUICK)
    cancel.click(plainly(cancelled), None, outputs, **QUICK)
    delete.click(lambda: gr.update(visible=True), None, asking, **QUICK)
    no.click(lambda: gr.update(visible=False), None, asking, **QUICK)
    yes.click(plainly(deleted), None, None, **QUICK).success(None, js=GO_BACK, **QUICK)


def head_of(run: SuiteRun) -> str:
    crumb = '<a href="/suites">Suites</a> / '
    crumb += f'<a href="/suites?id={run.suite}">{parts.text(run.name)}</a>' if run.suite else parts.text(run.name)
    actions = "".join(
        parts.button(title, f"/api/v1/suite-runs/{run.id}/export?format={form}", small=True, download=True)
        for title, form in (("CSV", "csv"), ("JSONL", "jsonl"))
        if run.answered or run.state not in runs.OPEN  # of one that waits there is nothing to take along
    )
    about = f"{words.plural(run.prompts, 'prompt')}, {words.plural(len(run.columns), 'column')}, asked {words.ago(run.created_at)}."
    return head_html(run.name, about, actions, crumb, f" {run_view.chip(run)}")


def body_of(studio: Studio, run: SuiteRun, query: Mapping[str, str]) -> str:
    """The prompt that the address names, or the shares and the table."""
    lines, base = results.table(studio, run), results.base_place(run.columns)
    show = query.get("show", "all") if query.get("show") in run_view.SHOWS else "all"
    chosen = {name: results.filtered(lines, name, base) for name in run_view.SHOWS}
    prompt, page = (_number(query.get(name)) for name in ("prompt", "page"))
    if 0 < prompt <= len(lines):
        return run_view.one(run, lines[prompt - 1], chosen[show], show)
    counts = {name: len(found) for name, found in chosen.items()}
    page = min(page, max(0, counts[show] - 1) // run_view.PER_PAGE)
    told = results.in_short(lines, base) if run.answered else []
    return (
        run_view.shares(run, told) + run_view.filters(run, show, counts) + run_view.table(run, chosen[show], show, page)
    )


def to_mend(studio: Studio, query: Mapping[str, str], column: str) -> list:
    """The dialog in which the answer of a column to the prompt of the address is mended."""
    run = runs.get_suite_run(studio, query.get("id", ""))
    lines, prompt, place = results.table(studio, run), _number(query.get("prompt")), _number(column)
    cell = lines[prompt - 1].cells[place] if 0 < prompt <= len(lines) and place < len(run.columns) else None
    if cell is None:
        raise NotFound("answer", column)
    return mending.opened(studio, lines[prompt - 1].prompt["messages"], cell.text, run.columns[place].get("adapter"))


def _number(said: str | None) -> int:
    return int(said) if said and said.isascii() and said.isdigit() and len(said) < 8 else 0


def missing() -> str:
    crumb = '<a href="/suites">Suites</a> / not found'
    again = parts.button("All suites", "/suites")
    return head_html("Suite run", crumb_html=crumb) + parts.empty(
        "check", "There is no such run", "It may have been deleted.", again
    )


PAGE = Page(title="Answers of a suite", path="answers", build=build, in_navigation=False, within="compare")
