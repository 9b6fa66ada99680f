"""Runs of suites, the person's side: have all prompts answered by chosen models, look how far it is, cancel, delete."""

import shutil
from typing import Any

from pydantic import Field
from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from studio import chat
from studio.columns import Answerer, answerers
from studio.compare_request import MOST_COLUMNS, Column, Id, Sampling, sampling_of
from studio.errors import Conflict, Invalid, NotFound, TooMany
from studio.files import write_json
from studio.folders import new_id
from studio.listing import LIMIT, Listing, listing
from studio.records import LOCAL_PERSON, BaseModel, JobState, Suite, SuiteRun, utc_now
from studio.studio import Studio
from studio.suites.lists import get_suite, prompts_of
from studio.wake import wake_runner

MOST_OPEN = 50
OPEN = (JobState.QUEUED, JobState.RUNNING)


class SuiteRunRequest(Sampling):
    """Who answers a suite, and how."""

    base_model: Id = Field(description="Id of the base model that all columns share.")
    columns: list[Column] = Field(
        default_factory=lambda: [Column()],
        min_length=1,
        max_length=MOST_COLUMNS,
        description="Who answers, the base first.",
    )


def queue_suite_run(
    studio: Studio, suite_id: str, request: SuiteRunRequest, owner: str = LOCAL_PERSON, **more: Any
) -> SuiteRun:
    """Have it answered by the runner. Raises NotFound, Conflict, Invalid or TooMany with the reason."""
    suite = get_suite(studio, suite_id, owner)
    if any(column.messages for column in request.columns):
        raise Invalid("The suite says what is asked.", "Leave out the columns' messages.", "columns")
    base, chosen = answerers(studio, request.base_model, request.columns, owner)
    columns = [_asked(request, column, each) for column, each in zip(request.columns, chosen, strict=True)]
    quantization = chat.trained_with(folder for each in chosen for folder in each.folders) or "none"
    described = [_described(base, column, each) for column, each in zip(request.columns, chosen, strict=True)]
    run = SuiteRun(
        id=new_id(), owner=owner, suite=suite.id, name=suite.name, sha256=suite.sha256, prompts=suite.prompt_count,
        base_model=base.id, neutral=suite.source == "builtin", columns=described, settings=request.model_dump(mode="json"), **more,
    )  # fmt: skip
    _queue(studio, run, suite, {"base_model": base.id, "quantization": quantization, "columns": columns})
    return run


def _asked(request: SuiteRunRequest, column: Column, answerer: Answerer) -> dict[str, Any]:
    """What the worker is told of a column: who answers, how tokens are drawn, and instructions in place of each prompt's own."""
    own = {} if column.system is None else {"system": column.system}
    return {**answerer.asked(), **sampling_of(request, column), **own}


def _described(base: BaseModel, column: Column, answerer: Answerer) -> dict[str, Any]:
    """A column as pages and files name it; the base has none of adapter, mix and checkpoint."""
    adapter = answerer.adapter
    said = {"adapter": adapter and adapter.id, "name": answerer.name or base.name, "sha256": adapter and adapter.sha256}
    who = column.model_dump(mode="json", include={"mix", "checkpoint"}, exclude_none=True)
    return {**said, **who}


def _queue(studio: Studio, run: SuiteRun, suite: Suite, request: dict[str, Any]) -> None:
    folder = studio.data.suite_run(run.id).create()
    prompts = [{**prompt.model_dump(mode="json"), "applied": prompt.applied} for prompt in prompts_of(suite)]
    try:
        write_json(folder.request, {**request, "prompts": prompts})
        with studio.database.write() as session:
            if session.scalar(select(func.count()).where(SuiteRun.state.in_(OPEN))) >= MOST_OPEN:
                raise TooMany(
                    f"{MOST_OPEN} suites wait or are being answered.", "Wait for some to end, or cancel them."
                )
            session.add(run)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    wake_runner(studio.data)


def get_suite_run(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> SuiteRun:
    with studio.database.read() as session:
        return found(session, id, owner)


def found(session: Session, id: str, owner: str) -> SuiteRun:
    run = session.get(SuiteRun, id)
    if run is None or run.owner != owner:
        raise NotFound("suite run", id)
    return run


def list_suite_runs(
    studio: Studio, owner: str = LOCAL_PERSON, suite: str | None = None, adapter: str | None = None,
    training: str | None = None, limit: int = LIMIT, cursor: str | None = None,
) -> Listing[SuiteRun]:  # fmt: skip
    """The newest first; of one suite, of one adapter, after one training."""
    query = select(SuiteRun).where(SuiteRun.owner == owner).order_by(SuiteRun.created_at.desc(), SuiteRun.id)
    for column, value in ((SuiteRun.suite, suite), (SuiteRun.training, training)):
        if value:
            query = query.where(column == value)
    if adapter:
        query = query.where(cast(SuiteRun.columns, String).contains(f'"adapter": "{adapter}"', autoescape=True))
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def cancel_suite_run(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> SuiteRun:
    """A waiting one ends at once, a running one when the runner has ended its worker; the answers so far are kept. Raises Conflict."""
    with studio.database.write() as session:
        run = found(session, id, owner)
        if run.state is JobState.QUEUED:
            run.state, run.ended_at = JobState.CANCELLED, utc_now()
        elif run.state is JobState.RUNNING:
            run.cancel = True
        elif run.state is not JobState.CANCELLED:
            raise Conflict(f"{run.name} has ended already.", "Delete it, if you do not want it.")
    wake_runner(studio.data)
    return run


def delete_suite_run(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> None:
    """With its answers. Raises Conflict while it is open."""
    with studio.database.write() as session:
        run = found(session, id, owner)
        if run.state in OPEN:
            raise Conflict(f"{run.name} is still open.", "Cancel it first.")
        suite = session.get(Suite, run.suite) if run.suite and run.training else None
        if suite:
            suite.changed_at = utc_now()  # or its training would be asked again (after_training.py)
        session.delete(run)
    shutil.rmtree(studio.data.suite_run(id).path, ignore_errors=True)


def shown(run: SuiteRun) -> dict[str, Any]:
    """As pages and API show it."""
    names = (
        "id", "owner", "suite", "name", "sha256", "prompts", "base_model", "training", "neutral", "columns", "settings",
        "cancel", "answered", "doing", "result", "problem", "fix",
    )  # fmt: skip
    times = {
        name: moment and moment.isoformat()
        for name in ("queued_at", "created_at", "started_at", "ended_at")
        for moment in [getattr(run, name)]
    }
    answers = run.prompts * len(run.columns)
    return {**{name: getattr(run, name) for name in names}, "state": run.state.value, "answers": answers, **times}
