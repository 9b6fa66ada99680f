"""A mix of the Compare page, saved: the same adapters with the same weights as one new adapter."""

from typing import Any

import gradio as gr

from studio import adapter_jobs
from studio.errors import Invalid, StudioError
from studio.lab_settings import read_lab_settings
from studio.pages import parts
from studio.pages.compare.layout import Layout
from studio.pages.compare.lineup import said_in
from studio.pages.compare.screen import shown_if_any
from studio.pages.errors import plainly
from studio.pages.events import QUICK
from studio.records import JobState
from studio.studio import Studio

LOOK_SECONDS = 1.0


def wire(studio: Studio, page: Layout) -> None:
    job = gr.Textbox(visible=False)
    looking = gr.Timer(LOOK_SECONDS, active=False)

    def save(event: gr.EventData):
        told = event._data if isinstance(event._data, dict) else {}
        columns, place = said_in(told.get("columns")).columns, int(told.get("place") or 0)
        if not 0 <= place < len(columns) or not columns[place].mix:
            raise Invalid("There is no mix in this column.", "Choose 'Mix adapters…' in it first.")
        id = saved(studio, [part.model_dump() for part in columns[place].mix])
        return id, *look(id)

    def look(id: str):
        try:
            made = adapter_jobs.get_job(studio, id)
        except StudioError:  # cleared away on the Adapters page
            return shown_if_any(""), gr.update(active=False)
        return shown_if_any(progress(made)), gr.update(active=made.state in adapter_jobs.OPEN)

    page.who.click(plainly(save), None, [job, page.saved, looking], **QUICK)
    looking.tick(plainly(look), job, [page.saved, looking], **QUICK)


def saved(studio: Studio, parents: list[dict[str, Any]]) -> str:
    """Queue the exact sum of these. What weighs nothing is left out of it: it adds nothing. Returns the job's id."""
    parents = [parent for parent in parents if parent["weight"]]
    if not parents:
        raise Invalid("All weights of this mix are 0, so it is the base itself.", "Move a slider first.")
    return adapter_jobs.queue_job(studio, read_lab_settings({"kind": "stack", "parents": parents})).id


def progress(job) -> str:
    work = parts.button("See the work", "/adapters#work", small=True)
    match job.state:
        case JobState.DONE:
            here = parts.button("Open the adapter", f"/adapters?id={job.id}", small=True)
            return parts.banner("ok", f"{job.name} is saved.", "It stands among the adapters now.", here)
        case JobState.FAILED:
            return parts.banner("bad", job.problem or "The mix could not be saved.", job.fix or "", work)
        case JobState.CANCELLED:
            return parts.banner("info", f"{job.name} was cancelled.")
        case _:
            return parts.banner("info", f"{job.name} is being made.", "This page may be left meanwhile.", work)
