"""The parts of the Adapters page around the lab: the list of its work, what can be done with one adapter, and its x-ray."""

import gradio as gr

from studio import adapter_jobs, xrays
from studio.errors import Invalid, StudioError
from studio.pages import lab_view, parts
from studio.pages.adapters_combine import queued
from studio.pages.errors import plainly
from studio.pages.events import QUICK, SLOW, clickable, clicked, every, on_load, plain
from studio.studio import Studio

REFRESH_SECONDS = 2
SHOWN_JOBS = 10


def draw_jobs(studio: Studio, adapter: str = "") -> str:
    """The newest jobs, or those that this adapter went into or came out of."""
    return lab_view.jobs(adapter_jobs.list_jobs(studio, SHOWN_JOBS, adapter=adapter or None).items)


def work(studio: Studio) -> gr.HTML:
    """The list of jobs, kept up to date."""
    listed = clickable()

    def draw(request: gr.Request) -> str:
        return draw_jobs(studio, request.query_params.get("id", ""))

    def act(request: gr.Request, event: gr.EventData) -> str:
        wanted, id = clicked(event)
        acts = {"cancel": adapter_jobs.cancel_job, "clear": adapter_jobs.delete_job}
        if wanted in acts:
            acts[wanted](studio, id)
        return draw(request)

    on_load(draw, listed)
    every(REFRESH_SECONDS, draw, listed)
    listed.click(plainly(act), None, listed, **QUICK)
    return listed


def shrinking(studio: Studio, opens: gr.Button) -> tuple[gr.HTML, gr.Number]:
    """What `opens` shows: a smaller rank for the adapter that the address names. Returns where the offers stand, and the rank."""
    with gr.Column(visible=False, elem_classes=["ls-sec"]) as asking:
        plain(
            '<h2 class="ls-h2">Make it smaller</h2><p class="ls-sub">A new adapter with a smaller rank, as near to this one as that rank allows.</p>'
        )
        offers = plain()
        with gr.Row(elem_classes=["ls-end"]):
            rank = gr.Number(0, label="New rank", precision=0, interactive=True)
            name = gr.Textbox(
                label="Name", placeholder="Empty: named after this one", max_length=100, max_lines=1, interactive=True
            )
        make = gr.Button("Make the smaller adapter", variant="primary", elem_classes=["ls-fit"])
        said = plain()

    def asked(rank: float | None, name: str, request: gr.Request) -> str:
        if not rank:
            raise Invalid("No rank is given.", "Choose one that is smaller than the adapter's.")
        id = request.query_params.get("id", "")
        return queued(studio, {"kind": "shrink", "adapter": id, "rank": rank, "name": name or ""})

    opens.click(lambda: gr.update(visible=True), None, asking, **QUICK)
    make.click(plainly(asked), [rank, name], said, **QUICK)
    return offers, rank


def inside(studio: Studio, offers: gr.HTML, rank: gr.Number) -> None:
    """The x-ray of the adapter that the address names: looked at when the page is opened, known at the next time."""
    picture = plain()

    def looked(request: gr.Request):
        id = request.query_params.get("id")
        if not id:
            return "", "", gr.skip()
        try:
            found = xrays.xray(studio, id)
        except StudioError as error:
            return (
                parts.card(f'<p class="ls-sub">{parts.text(error.problem)}</p>', "No x-ray", classes="ls-load"),
                "",
                gr.skip(),
            )
        return lab_view.xray(found), lab_view.offered(found), found.rank_that_keeps(xrays.OFFERED[0])

    gr.context.Context.root_block.load(plainly(looked), None, [picture, offers, rank], **SLOW)
