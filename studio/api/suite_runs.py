"""Runs of suites: have a suite answered by several models, watch it, take the answers along."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from studio.api.here import ERRORS, Here, Who
from studio.listing import LIMIT, MOST
from studio.suites import results, runs
from studio.suites.export import csv_lines, json_lines
from studio.suites.runs import SuiteRunRequest

ROUTER = APIRouter(prefix="/api/v1", tags=["Suites"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]


@ROUTER.post("/suites/{id}/runs", status_code=201)
def queue_suite_run(id: str, request: SuiteRunRequest, here: Here, who: Who) -> dict:
    """Have every prompt answered by every column, as a job. Look at the run until its state is done."""
    return runs.shown(runs.queue_suite_run(here, id, request, who))


@ROUTER.get("/suite-runs")
def list_suite_runs(
    here: Here, who: Who, suite: str | None = None, adapter: str | None = None, training: str | None = None,
    limit: Limit = LIMIT, cursor: str | None = None,
) -> dict:  # fmt: skip
    """The newest first: all, of one suite, of one adapter, or after one training."""
    return runs.list_suite_runs(here, who, suite, adapter, training, limit, cursor).shown_as(runs.shown)


@ROUTER.get("/suite-runs/{id}")
def get_suite_run(id: str, here: Here, who: Who) -> dict:
    return runs.shown(runs.get_suite_run(here, id, who))


@ROUTER.get("/suite-runs/{id}/answers")
def get_answers(
    id: str, here: Here, who: Who, limit: Limit = LIMIT, start: Annotated[int, Field(ge=0, le=10**6)] = 0
) -> dict:
    """Prompts in the order of the suite with each column's answer, from the one at `start` on; null where there is none yet."""
    lines = results.table(here, runs.get_suite_run(here, id, who))
    more = start + limit < len(lines)
    return {"items": [asdict(line) for line in lines[start : start + limit]], "next": start + limit if more else None}


@ROUTER.get("/suite-runs/{id}/export")
def export(id: str, here: Here, who: Who, format: Literal["csv", "jsonl"] = "jsonl") -> StreamingResponse:
    """All prompts and answers as a file. In CSV, cells that a spreadsheet would take for a formula begin with an apostrophe."""
    run = runs.get_suite_run(here, id, who)
    write, kind = {"csv": (csv_lines, "text/csv"), "jsonl": (json_lines, "application/x-ndjson")}[format]
    named = {"Content-Disposition": f'attachment; filename="suite-{run.id}.{format}"'}
    return StreamingResponse(write(here, run), media_type=f"{kind}; charset=utf-8", headers=named)


@ROUTER.post("/suite-runs/{id}/cancel")
def cancel_suite_run(id: str, here: Here, who: Who) -> dict:
    """The answers so far are kept."""
    return runs.shown(runs.cancel_suite_run(here, id, who))


@ROUTER.delete("/suite-runs/{id}", status_code=204)
def delete_suite_run(id: str, here: Here, who: Who) -> None:
    """With its answers."""
    runs.delete_suite_run(here, id, who)
