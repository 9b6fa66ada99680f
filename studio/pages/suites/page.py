"""Suites: saved lists of prompts, made here, from a file or from held-out rows, and answered by base and adapters as a job."""

from pathlib import Path
from typing import Any

import gradio as gr

from studio import datasets
from studio.errors import Invalid, NotFound
from studio.listing import MOST
from studio.pages import parts
from studio.pages.errors import plainly
from studio.pages.events import GO, QUICK, SLOW, on_load, plain
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.pages.suites import view
from studio.pages.suites.one import one_head, one_suite
from studio.studio import Studio
from studio.suites import lists, runs
from studio.suites.heldout_rows import HeldoutRows, suite_of_heldout
from studio.suites.uploads import suite_from_upload

SUBTITLE = "The same questions to base and adapters, again and again, with checks instead of impressions."
SHOWN_RUNS = 20
A_ROW = (
    '<p class="ls-sub">A row is a prompt: <code>{"text": "What is 2 + 2?", "expected": "4"}</code>, also with '
    "<code>system</code>, <code>topic</code> and <code>checks</code>. Of a data file, the questions are asked and the answers expected.</p>"
)
FILES = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".gz"]


def build(studio: Studio) -> None:
    top = plain(head_html("Suites", SUBTITLE))
    with gr.Column(visible=False) as everything:
        listed = plain('<div class="ls-skeleton" style="height:220px" aria-busy="true"></div>')
        making(studio)
        done = plain()
    one_suite(studio)

    def opened(request: gr.Request):
        id, adapter = (request.query_params.get(name, "") for name in ("id", "adapter"))
        if not id:
            found = lists.list_suites(studio, limit=MOST).items
            recent = runs.list_suite_runs(studio, limit=SHOWN_RUNS).items
            listing = view.listed(found, adapter if adapter.isalnum() else "")
            return head_html("Suites", SUBTITLE), gr.update(visible=True), listing, view.runs_of(recent, "Latest runs")
        try:
            return one_head(lists.get_suite(studio, id)), gr.update(visible=False), "", ""
        except NotFound:
            return missing(), gr.update(visible=False), "", ""

    on_load(plainly(opened), [top, everything, listed, done])


def inputs() -> dict[str, Any]:
    """Of a new suite: its name, and a tab for each way to make it."""
    with gr.Column(elem_classes=["ls-sec"], elem_id="new"):
        plain('<h2 class="ls-h2">Make a suite</h2>')
        name = gr.Textbox(label="Name", max_lines=1, max_length=100, interactive=True)
        with gr.Tabs():
            with gr.Tab("Write"):
                said = "Expected answers and checks come afterwards, prompt by prompt."
                asked = gr.Textbox(label="Questions, one per line", lines=4, max_lines=20, info=said, interactive=True)
                make = gr.Button("Make the suite", variant="primary", elem_classes=["ls-fit"])
            with gr.Tab("File"):
                what = "JSON Lines, JSON, CSV, or any data file"
                file = gr.File(label=what, file_types=FILES, elem_classes=["ls-drop"], interactive=True)
                plain(A_ROW)
                take = gr.Button("Make it from the file", variant="primary", elem_classes=["ls-fit"])
            with gr.Tab("Held-out rows"):
                said = "Rows that a training holds out: the adapter has never seen them."
                data = gr.Dropdown([], label="Data set", info=said, interactive=True)
                count = gr.Slider(1, 200, 50, step=1, label="Rows, at most", interactive=True)
                draw = gr.Button("Make it from held-out rows", variant="primary", elem_classes=["ls-fit"])
    return {
        "name": name, "asked": asked, "make": make, "file": file, "take": take, "data": data, "count": count, "draw": draw,
    }  # fmt: skip


def making(studio: Studio) -> None:
    """A new suite: written, from a file, or from rows that trainings hold out."""
    to, at = gr.Textbox(visible=False), inputs()

    def known_data():
        found = datasets.list_datasets(studio, limit=MOST).items
        choices = [(each.name, each.id) for each in found if each.kind != "text"]
        return gr.update(choices=choices, value=choices[0][1] if choices else None)

    def written(called: str, lines: str):
        prompts = [{"text": line} for line in (lines or "").splitlines() if line.strip()]
        return place_of(lists.make_suite(studio, called or "", prompts))

    def brought(called: str, path: str | None):
        if not path:
            raise Invalid("No file is chosen.", "Choose one above.", "file")
        suite = suite_from_upload(studio, Path(path), Path(path).name, called)
        Path(path).unlink(missing_ok=True)  # Gradio's copy of the upload; its prompts are kept by now
        return place_of(suite)

    def drawn(called: str, dataset: str | None, rows: float):
        if not dataset:
            raise Invalid("No data set is chosen.", "Choose one above.", "dataset")
        return place_of(
            suite_of_heldout(studio, HeldoutRows(dataset=dataset, rows=int(rows), name=(called or "").strip()))
        )

    on_load(known_data, at["data"])
    events: list[Any] = [
        at["make"].click(plainly(written), [at["name"], at["asked"]], to, **QUICK),
        at["take"].click(plainly(brought), [at["name"], at["file"]], to, **SLOW),
        at["draw"].click(plainly(drawn), [at["name"], at["data"], at["count"]], to, **SLOW),
    ]
    for event in events:
        event.success(None, to, js=GO, **QUICK)


def place_of(suite: lists.Suite) -> str:
    return f"/suites?id={suite.id}"


def missing() -> str:
    crumb = '<a href="/suites">Suites</a> / not found'
    again = parts.button("All suites", "/suites")
    return head_html("Suite", crumb_html=crumb) + parts.empty(
        "check", "There is no such suite", "It may have been deleted.", again
    )


PAGE = Page(title="Suites", path="suites", build=build, in_navigation=False, within="compare")
