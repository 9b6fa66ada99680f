"""Data: bring examples, see what was found in them, and look at any row as the trainer will read it."""

import gradio as gr

from studio import datasets
from studio.errors import NotFound
from studio.listing import MOST
from studio.pages import data_detail, data_mix, data_upload, parts, words
from studio.pages import data_view as view
from studio.pages.data_detail import descriptions
from studio.pages.events import on_load, plain
from studio.pages.findings import section as findings_section
from studio.pages.page import Page
from studio.pages.shell import head_html
from studio.pages.versions import history, holding_out, rows
from studio.studio import Studio
from studio.versions.lineage import get_version

SUBTITLE = "Check that your examples say what you think they say, before spending time on training."


def build(studio: Studio) -> None:
    head = plain(head_html("Data", SUBTITLE))
    with gr.Column(visible=False) as bring:
        data_upload.section(studio)
        listed = plain()
        data_mix.section(studio)
    data_detail.section(studio)
    findings_section.section(studio)
    rows.section(studio)
    holding_out.section(studio)
    history.section(studio)
    data_detail.ending(studio)

    def show(request: gr.Request):
        id = request.query_params.get("id")
        if not id:
            return head_html("Data", SUBTITLE), gr.update(visible=True), draw_list(studio)
        model, version = request.query_params.get("model"), rows.asked_version(request)
        return draw_head(studio, id, model, version), gr.update(visible=False), ""

    on_load(show, [head, bring, listed])


def draw_list(studio: Studio) -> str:
    found = datasets.list_datasets(studio, limit=MOST).items
    return view.listed([datasets.shown(dataset) for dataset in found], descriptions())


def draw_head(studio: Studio, id: str, model: str | None, version: int | None = None) -> str:
    """The head of one data set, or that there is none with this id."""
    crumb = '<a class="ls-link" href="/data">Data</a>'
    try:
        dataset = datasets.get_dataset(studio, id)
        shown = get_version(studio, id, version)
    except NotFound:
        missing = parts.empty(
            "data", "There is no such data set", "It may have been deleted.", parts.button("All data", "/data")
        )
        return head_html("Data", crumb_html=crumb) + missing
    train = parts.button(
        "Train on this",
        f"/train?data={dataset.id}"
        + (f"&version={shown.number}" if shown.number != dataset.version else "")
        + (f"&model={model}" if model and model.isalnum() else ""),
        primary=True,
    )
    which = f", version {shown.number} of {dataset.version}" if dataset.version > 1 else ""
    added = f"{words.plural(shown.rows, 'row')}, added {words.ago(shown.created_at)}{which}."
    return head_html(dataset.name, added, train, crumb)


PAGE = Page(title="Data", path="data", build=build, icon="data", order=30)
