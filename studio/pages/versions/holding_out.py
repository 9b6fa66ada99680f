"""Hold out rows of a data set by share or by count, chosen by their content, as a new version."""

import gradio as gr

from studio.pages.errors import plainly
from studio.pages.events import GO, SLOW, on_load, plain
from studio.pages.versions.rows import asked_for
from studio.studio import Studio
from studio.versions.holding_out import hold_out

SHARE, COUNT = "percent of the rows", "rows"


def section(studio: Studio) -> None:
    """Of the data set that the address names; hidden while it names none."""
    with gr.Column(visible=False) as column, gr.Accordion("Hold rows out", open=False, elem_classes=["ls-fold"]):
        plain(
            '<p class="ls-sub">They are measured on and never trained on. They are chosen by what they say, so when rows are '
            "added, the same ones stay held out.</p>"
        )
        with gr.Row(elem_classes=["ls-end"]):
            amount = gr.Number(5, label="How many", minimum=0.01, interactive=True, min_width=110)
            unit = gr.Dropdown([SHARE, COUNT], value=SHARE, label="Of what", interactive=True, min_width=180)
            save = gr.Button("Save as a new version", elem_classes=["ls-fit"])
        goes_to = gr.Textbox(visible=False)

    def open_it(request: gr.Request):
        return gr.update(visible=asked_for(studio, request) is not None)

    def hold(given: float | None, of: str, request: gr.Request) -> str:
        dataset, shown = asked_for(studio, request) or (None, 0)
        if dataset is None:
            return ""
        by_share = of == SHARE
        hold_out(
            studio,
            dataset.id,
            shown,
            share=(given or 0) / 100 if by_share else None,
            count=None if by_share else int(given or 0),
        )
        return f"/data?id={dataset.id}"

    on_load(open_it, column)
    saved = save.click(plainly(hold), [amount, unit], goes_to, **SLOW)
    saved.success(None, goes_to, None, js=GO, api_visibility="private")
