"""Runs as people see and steer them: queue, list, watch, stop, pause, cancel, clone, delete. The runner's side is run_queue.py."""

import json
import shutil
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import String, case, cast, func, or_, select
from sqlalchemy.orm import Session

from studio import checkpoints
from studio.admission import Admission, admitted, check_still_there
from studio.errors import Conflict, Invalid, NotFound
from studio.files import read_json, write_json, write_text
from studio.folders import RunFolder, new_id
from studio.limits import check_open_runs
from studio.line.order import WAITING, check_priority
from studio.line.places import NOWHERE, places
from studio.listing import LIMIT, Listing, listing
from studio.plan import TrainingPlan, given_name, read_plan
from studio.records import (
    LOCAL_PERSON,
    OPEN,
    TERMINAL,
    Adapter,
    BaseModel,
    Dataset,
    Run,
    RunEvent,
    Status,
    Want,
    utc_now,
)
from studio.run_queue import runner_seen
from studio.studio import Studio
from studio.transitions import move
from studio.wake import wake_runner

S = Status
BUSY_FIRST = (
    S.RUNNING,
    S.STARTING,
    S.PAUSING,
    S.CANCELLING,
    S.QUEUED,
    S.RETRY_WAIT,
    S.PAUSED,
    S.FAILED,
    S.SUCCEEDED,
    S.CANCELLED,
)
NEWEST = (Run.queued_at.desc(), Run.id)
SORTS = {
    "newest": NEWEST,
    "oldest": (Run.queued_at, Run.id),
    "name": (func.lower(Run.name), *NEWEST),
    "loss": (Run.heldout_loss.is_(None), Run.heldout_loss, *NEWEST),
    "state": (case({state: place for place, state in enumerate(BUSY_FIRST)}, value=Run.state), *NEWEST),
}


def queue_run(
    studio: Studio,
    plan: TrainingPlan,
    owner: str = LOCAL_PERSON,
    idempotency_key: str | None = None,
    parent: str | None = None,
) -> Run:
    """T1: check the plan, freeze it and put it in the queue.

    The same key again answers the run that it made the first time. Raises what admission.admitted raises, TooMany when
    too many runs are open or wait, Conflict when the key was used for another plan.
    """
    with studio.database.read() as session:
        if known := _of_key(session, owner, idempotency_key):
            return _same(studio, known, plan)
    admission = admitted(studio, plan)
    run = _new_run(admission, owner, idempotency_key, parent)
    folder = studio.data.run(run.id)
    try:
        _freeze(folder, admission)
        with studio.database.write() as session:
            if known := _of_key(session, owner, idempotency_key):
                raise _MadeMeanwhile(known.id)
            check_open_runs(studio, session, owner)
            check_priority(session, owner, run.priority)
            check_still_there(session, plan)
            session.add(run)
            session.flush()
            session.add(
                RunEvent(
                    run_id=run.id, epoch=0, from_state=None, to_state=S.QUEUED, by=owner, text="Waiting for a device."
                )
            )
        wake_runner(studio.data)
        return run
    except _MadeMeanwhile as twin:
        shutil.rmtree(folder.path, ignore_errors=True)
        return _same(studio, get_run(studio, str(twin)), plan)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


class _MadeMeanwhile(Exception):
    """The same submit was here at the same time; it holds that run's id."""


def _freeze(folder: RunFolder, admission: Admission) -> None:
    folder.create()
    write_json(folder.plan, admission.plan.model_dump(mode="json"))
    write_json(folder.resolved, admission.needs.resolved.model_dump(mode="json"))
    write_json(folder.estimate, admission.needs.planned_memory)
    write_json(folder.origin, admission.origin)


def _new_run(admission: Admission, owner: str, key: str | None, parent: str | None) -> Run:
    plan, resolved = admission.plan, admission.needs.resolved
    return Run(
        id=new_id(), owner=owner, name=plan.name, base_model=plan.base_model, dataset=plan.dataset, dataset_version=plan.dataset_version or 1, method=plan.method.name, tags=list(plan.tags), notes=plan.notes, suites=" ".join(admission.suites) or None,
        parent=parent, idempotency_key=key, priority=plan.resources.priority, gpus=plan.resources.gpus, steps=resolved.steps,
        memory_bytes=admission.needs.total_bytes, planned_seconds=admission.needs.seconds if admission.needs.measured_speed else None,
        micro_batch=resolved.micro_batch, grad_accum=resolved.accumulation, grad_checkpointing=resolved.gradient_checkpointing,
    )  # fmt: skip


def _of_key(session: Session, owner: str, key: str | None) -> Run | None:
    return session.scalar(select(Run).where(Run.owner == owner, Run.idempotency_key == key)) if key else None


def _same(studio: Studio, known: Run, plan: TrainingPlan) -> Run:
    frozen = plan_of(studio, known.id)
    given = {"name": plan.name or frozen.name, "dataset_version": plan.dataset_version or frozen.dataset_version}
    if frozen != plan.model_copy(update=given):
        raise Conflict("This Idempotency-Key was used for another plan.", "Use a new key for a new run.")
    return known


def get_run(studio: Studio, id: str) -> Run:
    with studio.database.read() as session:
        return _found(session, id)


def _found(session: Session, id: str) -> Run:
    run = session.get(Run, id)
    if run is None:
        raise NotFound("run", id)
    return run


def list_runs(
    studio: Studio, q: str = "", states: Collection[Status] = (), base_model: str | None = None, dataset: str | None = None, method: str | None = None,
    tag: str | None = None, owner: str | None = None, sort: str = "newest", limit: int = LIMIT, cursor: str | None = None,
) -> Listing[Run]:  # fmt: skip
    """Runs that match everything given. `q` is looked for in names, notes, tags, and the names of model and data."""
    if sort not in SORTS:
        raise Invalid(f"Runs cannot be sorted by '{sort}'.", f"Choose one of: {', '.join(SORTS)}.", "sort")
    query = select(Run).order_by(*SORTS[sort])
    for column, value in (
        (Run.base_model, base_model),
        (Run.dataset, dataset),
        (Run.method, method),
        (Run.owner, owner),
    ):
        if value:
            query = query.where(column == value)
    if states:
        query = query.where(Run.state.in_(states))
    if tag:
        query = query.where(cast(Run.tags, String).contains(json.dumps(tag), autoescape=True))
    for word in q.split():
        query = query.where(_mentions(word))
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def _mentions(word: str) -> Any:
    """Runs with this word somewhere; tags are stored as JSON, with letters beyond ASCII escaped."""
    named = [select(kind.id).where(kind.name.icontains(word, autoescape=True)) for kind in (BaseModel, Dataset)]
    return or_(
        Run.name.icontains(word, autoescape=True),
        Run.notes.icontains(word, autoescape=True),
        cast(Run.tags, String).icontains(json.dumps(word)[1:-1], autoescape=True),
        Run.base_model.in_(named[0]),
        Run.dataset.in_(named[1]),
        Run.id == word,
    )


def count_by_state(studio: Studio) -> dict[Status, int]:
    """How many runs are in each state, 0 included."""
    with studio.database.read() as session:
        counted = dict(session.execute(select(Run.state, func.count()).group_by(Run.state)).all())
    return {state: counted.get(state, 0) for state in Status}


def events(studio: Studio, id: str) -> list[RunEvent]:
    """Everything that happened to a run, oldest first."""
    with studio.database.read() as session:
        _found(session, id)
        return list(session.scalars(select(RunEvent).where(RunEvent.run_id == id).order_by(RunEvent.seq)))


def runner_alive(studio: Studio) -> bool:
    with studio.database.read() as session:
        return runner_seen(session)


def cancel_run(studio: Studio, id: str, by: str = LOCAL_PERSON) -> Run:
    """T8, T9: end it and keep nothing."""
    at_once = (*WAITING, S.PAUSED)
    return _change(
        studio, id, by, "cancelled", (S.CANCELLING, S.CANCELLED), "It has ended; delete it if you do not need it.",
        (at_once, S.CANCELLED, Want.CANCEL, "Cancelled."),
        ((S.STARTING, S.RUNNING, S.PAUSING), S.CANCELLING, Want.CANCEL, "Asked to end; nothing is kept."),
    )  # fmt: skip


def stop_run(studio: Studio, id: str, by: str = LOCAL_PERSON) -> Run:
    """T4: end after this step and keep the adapter as it is then."""
    with studio.database.read() as session:
        run = _found(session, id)
    if run.state is S.PAUSING and run.want is Want.PAUSE:
        raise Conflict(
            "The run is saving a checkpoint, to pause.", "Stop it when it is paused and resumed, or cancel it."
        )
    done = (S.PAUSING, *((S.SUCCEEDED,) if run.want is Want.STOP else ()))
    waiting = "resume it first" if run.state is S.PAUSED else "let it start first"
    fix = "It has ended." if run.state in TERMINAL else f"Nothing is being trained; {waiting}, or cancel it."
    return _change(
        studio, id, by, "stopped", done, fix,
        ((S.STARTING, S.RUNNING), S.PAUSING, Want.STOP, "Asked to end after this step; the adapter is kept as it is then."),
    )  # fmt: skip


def pause_run(studio: Studio, id: str, by: str = LOCAL_PERSON) -> Run:
    """T4, T6: save a checkpoint and free the device."""
    with studio.database.read() as session:
        run = _found(session, id)
    done = (S.PAUSED, *((S.PAUSING,) if run.want is Want.PAUSE else ()))
    return _change(
        studio, id, by, "paused", done, "It is ending already." if run.state in OPEN else "It has ended; clone it to train again.",
        (WAITING, S.PAUSED, Want.PAUSE, "Paused before it started."),
        ((S.STARTING, S.RUNNING), S.PAUSING, Want.PAUSE, "Asked to save a checkpoint and pause."),
    )  # fmt: skip


def resume_run(studio: Studio, id: str, by: str = LOCAL_PERSON, start_over: bool = False) -> Run:
    """T7: back into the queue, to go on from the last complete checkpoint; or from the first step, where the person wants to start over."""
    with studio.database.read() as session:
        state = _found(session, id).state
    fix = "Wait until it is paused." if state is S.PAUSING else "Clone it to train again."
    text, done = "Resumed; waiting for a device.", (*WAITING, S.STARTING, S.RUNNING)
    if start_over:
        text, done = "Resumed, to start over from its first step; waiting for a device.", ()
        if state is S.PAUSED:
            write_text(studio.data.run(id).start_over, by)
        elif state in OPEN:
            fix = "Pause it first."
    return _change(studio, id, by, "resumed", done, fix, ((S.PAUSED,), S.QUEUED, Want.RUN, text))


def _change(
    studio: Studio,
    id: str,
    by: str,
    wanted: str,
    done: Collection[Status],
    fix: str,
    *arrows: tuple[Collection[Status], Status, Want, str],
) -> Run:
    """Move along the arrow that leads on from the run's state. A run that is where it was to go stays, with no event."""
    with studio.database.write() as session:
        run = _found(session, id)
        if run.state in done:
            return run
        for sources, to, want, text in arrows:
            if run.state in sources:
                ended = {"ended_at": utc_now()} if to in TERMINAL else {}
                fresh = (
                    {"problem": None, "fix": None, "not_before": None, "reserved_at": None} if to is S.QUEUED else {}
                )
                moved = move(session, run.id, run.epoch, (run.state,), to, by, text, want=want, **ended, **fresh)
                break
        else:
            raise Conflict(f"The run is {run.state.value.replace('_', ' ')} and cannot be {wanted}.", fix)
    wake_runner(studio.data)
    return moved


def rename_run(studio: Studio, id: str, name: str) -> Run:
    """Raises Invalid for a name that is empty or too long."""
    with studio.database.write() as session:
        run = _found(session, id)
        run.name = given_name(name)
        return run


def delete_run(studio: Studio, id: str) -> None:
    """Its record, history, checkpoints and log; an adapter that it made stays. Raises Conflict while it is open."""
    with studio.database.write() as session:
        run = _found(session, id)
        if run.state in OPEN:
            raise Conflict(f"The run '{run.name}' is {run.state.value.replace('_', ' ')}.", "Cancel it first.")
        session.delete(run)
    shutil.rmtree(studio.data.run(id).path, ignore_errors=True)
    checkpoints.forget(studio, id)


def plan_of(studio: Studio, id: str) -> TrainingPlan:
    """The frozen plan."""
    get_run(studio, id)
    values = _frozen(studio.data.run(id).plan)
    if values is None:
        raise Conflict("The run's plan.json is missing from the data folder.", "Delete the run.")
    return read_plan(values)


@lru_cache(2048)
def _read(path: Path) -> dict | None:
    return read_json(path)


def _frozen(path: Path) -> dict | None:
    """A plan never changes once written, so lists need not open it again."""
    values = _read(path)
    if values is None:
        _read.cache_clear()
    return values


def result_of(studio: Studio, id: str) -> dict:
    """How the last attempt ended, in the worker's words; {} while it has not."""
    run = get_run(studio, id)
    return read_json(studio.data.run(id).attempt(run.attempt_epoch).result, {})


def clone_values(studio: Studio, id: str) -> dict:
    """The plan's values, to start a new plan from, under the name that the run has now."""
    return {**plan_of(studio, id).model_dump(mode="json"), "name": f"{get_run(studio, id).name[:93]} (copy)"}


def shown(studio: Studio, run: Run) -> dict:
    return shown_all(studio, [run])[0]


def shown_all(studio: Studio, found: Sequence[Run]) -> list[dict]:
    """Runs as pages and API show them, with the names of what they belong to; a few queries for all of them."""
    with studio.database.read() as session:
        names = {
            kind: _names(session, kind, {getattr(run, column) for run in found})
            for kind, column in ((BaseModel, "base_model"), (Dataset, "dataset"))
        }
        adapters = dict(
            session.execute(select(Adapter.run, Adapter.id).where(Adapter.run.in_([run.id for run in found]))).all()
        )
        standing = places(studio, session) if any(run.state in WAITING for run in found) else {}
    return [
        {
            **{name: getattr(run, name) for name in COLUMNS},
            **{name: moment and moment.isoformat() for name in MOMENTS for moment in [getattr(run, name)]},
            "base_model_name": names[BaseModel].get(run.base_model, run.base_model),
            "dataset_name": names[Dataset].get(run.dataset, run.dataset),
            **{
                name: ((_frozen(studio.data.run(run.id).plan) or {}).get("method") or {}).get(name)
                for name in ("rank", "alpha")
            },
            "progress": 1.0 if run.state is S.SUCCEEDED else min(1.0, run.step / run.steps) if run.steps else 0.0,
            **standing.get(run.id, NOWHERE).shown,
            "adapter": adapters.get(run.id),
        }
        for run in found
    ]


COLUMNS = (
    "id", "name", "state", "want", "problem", "fix", "base_model", "dataset", "dataset_version", "method", "tags", "notes", "owner", "parent", "priority", "gpus", "attempt",
    "step", "steps", "loss", "heldout_loss", "base_heldout_loss", "seconds_left", "sparkline", "verdict",
)  # fmt: skip
MOMENTS = ("queued_at", "started_at", "ended_at", "not_before")


def _names(session: Session, kind: type[BaseModel] | type[Dataset], ids: set[str]) -> dict[str, str]:
    return dict(session.execute(select(kind.id, kind.name).where(kind.id.in_(ids))).all())
