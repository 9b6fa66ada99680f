"""The adapter lab: make one adapter from several, a smaller one, or a merged model; the work is done by the runner."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from studio import adapter_jobs
from studio.api.here import ERRORS, Here, Who
from studio.lab_settings import AnyLabSettings
from studio.listing import LIMIT, MOST

ROUTER = APIRouter(prefix="/api/v1/adapter-jobs", tags=["Adapter lab"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]


@ROUTER.post("", status_code=201)
def queue_job(settings: AnyLabSettings, here: Here, who: Who) -> dict:
    """Stack adapters of one base, shrink one, or merge one into its base. Look at the job until its state is done: then `result.adapter`
    is the new adapter's id, `result.model` the merged model's."""
    return adapter_jobs.shown(adapter_jobs.queue_job(here, settings, who))


@ROUTER.get("")
def list_jobs(here: Here, limit: Limit = LIMIT, cursor: str | None = None) -> dict:
    return adapter_jobs.list_jobs(here, limit, cursor).shown_as(adapter_jobs.shown)


@ROUTER.get("/{id}")
def get_job(id: str, here: Here) -> dict:
    return adapter_jobs.shown(adapter_jobs.get_job(here, id))


@ROUTER.post("/{id}/cancel")
def cancel_job(id: str, here: Here) -> dict:
    return adapter_jobs.shown(adapter_jobs.cancel_job(here, id))


@ROUTER.delete("/{id}", status_code=204)
def delete_job(id: str, here: Here) -> None:
    """Take an ended job out of the list; what it made stays."""
    adapter_jobs.delete_job(here, id)
