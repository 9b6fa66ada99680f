"""Runs: queue a training, watch it, stop it."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic import Field

from studio import adapters, checkpoints, metrics, runs
from studio.api.here import ERRORS, MOST_NUMBER, Body, Here, Search, Who
from studio.doctor import reading as doctor
from studio.line import steering
from studio.listing import LIMIT, MOST
from studio.plan import TrainingPlan, read_plan
from studio.records import Status
from studio.studio import Studio
from studio.verdict.reading import given_verdict
from studio.verdict.step_adapters import adapter_of_step

ROUTER = APIRouter(prefix="/api/v1/runs", tags=["Runs"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


class Changes(Body):
    """What a clone does differently: parts of a plan."""

    changes: dict = Field(default_factory=dict)


class OfStep(Body):
    step: int = Field(ge=1, le=MOST_NUMBER)


class Resume(Body):
    start_over: bool = Field(False, description="Begin at the first step again, whatever checkpoints there are.")


class Change(Body):
    name: str | None = Field(None, min_length=1, max_length=100)
    priority: int | None = Field(
        None, ge=-10, le=10, strict=True, description="Of a run that waits: higher starts first."
    )


@ROUTER.post("", status_code=201)
def queue_run(plan: TrainingPlan, here: Here, who: Who, idempotency_key: Key = None) -> dict:
    """Queue a training. The same Idempotency-Key again answers the run that it made the first time."""
    return detailed(here, runs.queue_run(here, plan, owner=who, idempotency_key=idempotency_key).id)


@ROUTER.get("")
def list_runs(
    here: Here,
    q: Search = "",
    state: Annotated[list[Status] | None, Query()] = None,
    model: str | None = None,
    dataset: str | None = None,
    method: str | None = None,
    tag: str | None = None,
    owner: str | None = None,
    sort: str = "newest",
    limit: Limit = LIMIT,
    cursor: str | None = None,
) -> dict:
    found = runs.list_runs(
        here,
        q,
        states=tuple(state or ()),
        base_model=model,
        dataset=dataset,
        method=method,
        tag=tag,
        owner=owner,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    return {"items": runs.shown_all(here, found.items), "next": found.next}


@ROUTER.get("/{id}")
def get_run(id: str, here: Here) -> dict:
    return detailed(here, id)


@ROUTER.post("/{id}/stop")
def stop_run(id: str, here: Here, who: Who) -> dict:
    """End the training after this step and keep the adapter as it is."""
    runs.stop_run(here, id, by=who)
    return detailed(here, id)


@ROUTER.post("/{id}/cancel")
def cancel_run(id: str, here: Here, who: Who) -> dict:
    """End the training and keep nothing."""
    runs.cancel_run(here, id, by=who)
    return detailed(here, id)


@ROUTER.post("/{id}/pause")
def pause_run(id: str, here: Here, who: Who) -> dict:
    """Save a checkpoint and free the device."""
    runs.pause_run(here, id, by=who)
    return detailed(here, id)


@ROUTER.post("/{id}/resume")
def resume_run(id: str, here: Here, who: Who, how: Resume | None = None) -> dict:
    """Go on from the last whole checkpoint of a paused run, or start over where its `result` says "no_checkpoint"."""
    runs.resume_run(here, id, by=who, start_over=bool(how and how.start_over))
    return detailed(here, id)


@ROUTER.post("/{id}/first")
def move_first(id: str, here: Here, who: Who) -> dict:
    """Move a waiting run before its owner's other ones; nobody else's place changes."""
    steering.move_first(here, id, by=who)
    return detailed(here, id)


@ROUTER.post("/{id}/clone", status_code=201)
def clone_run(id: str, body: Changes, here: Here, who: Who, idempotency_key: Key = None) -> dict:
    """Queue a new run with the same plan and these changes."""
    plan = read_plan(merged(runs.clone_values(here, id), body.changes))
    return detailed(here, runs.queue_run(here, plan, owner=who, idempotency_key=idempotency_key, parent=id).id)


@ROUTER.patch("/{id}")
def change_run(id: str, change: Change, here: Here, who: Who) -> dict:
    """Give it another name, or another priority while it waits: its owner may lower it, an administrator may raise it too."""
    if change.priority is not None:
        steering.set_priority(here, id, change.priority, by=who)
    if change.name is not None:
        runs.rename_run(here, id, change.name)
    return detailed(here, id)


@ROUTER.delete("/{id}", status_code=204)
def delete_run(id: str, here: Here) -> None:
    runs.delete_run(here, id)


@ROUTER.get("/{id}/metrics")
def get_metrics(
    id: str, here: Here, names: str = "loss,heldout_loss", points: Annotated[int, Field(ge=2, le=5000)] = 240
) -> dict:
    """Thinned curves: per name the steps and the values."""
    return {
        "series": metrics.series(here, id, [name for name in names.split(",") if name], points),
        "latest": metrics.latest(here, id),
    }


@ROUTER.get("/{id}/log")
def get_log(id: str, here: Here, offset: Annotated[int, Field(ge=0, le=MOST_NUMBER)] = 0) -> dict:
    text, next_offset = metrics.log(here, id, offset)
    return {"text": text, "offset": next_offset}


@ROUTER.get("/{id}/samples")
def get_samples(id: str, here: Here) -> dict:
    """Answers to the pinned prompts at each evaluation; step 0 is the base itself."""
    return {"items": metrics.samples(here, id), "next": None}


@ROUTER.get("/{id}/checkpoints")
def get_checkpoints(id: str, here: Here, who: Who) -> dict:
    """Steps whose checkpoints the run keeps and Compare can ask."""
    return {"items": [{"step": step} for step in checkpoints.steps_of(here, id, who)], "next": None}


@ROUTER.get("/{id}/verdict")
def get_verdict(id: str, here: Here) -> dict:
    """The adapter against its base on the held-out rows: a word, numbers with intervals, and rows that both answered."""
    return given_verdict(here, id)


@ROUTER.post("/{id}/adapters", status_code=201)
def make_adapter_of_step(id: str, of: OfStep, here: Here, who: Who) -> dict:
    """Make an adapter of a checkpoint that the run keeps, such as the verdict's keep_step. Asked again, it answers the same one."""
    return adapters.shown(adapters.get_adapter(here, adapter_of_step(here, id, of.step, who).id))


@ROUTER.get("/{id}/diagnosis")
def get_diagnosis(id: str, here: Here) -> dict:
    """What the curves say: at most three findings, the most important first, each with the change of the plan to try."""
    return {"items": doctor.shown(here, id), "next": None}


def detailed(here: Studio, id: str) -> dict:
    """Everything about one run: its place and progress, its plan, its result, and what happened to it."""
    run = runs.get_run(here, id)
    happened = [
        {"at": event.at.isoformat(), "from": event.from_state, "to": event.to_state, "by": event.by, "text": event.text}
        for event in runs.events(here, id)
    ]
    return {
        **runs.shown(here, run),
        "plan": runs.plan_of(here, id).model_dump(mode="json"),
        "result": runs.result_of(here, id),
        "events": happened,
    }


def merged(values: dict, changes: dict) -> dict:
    """The plan's values with the changed ones in their place, part by part."""
    both = {**values, **changes}
    for part in values.keys() & changes.keys():
        if isinstance(values[part], dict) and isinstance(changes[part], dict):
            both[part] = merged(values[part], changes[part])
    return both
