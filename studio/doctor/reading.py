"""The chart of a run, read from its plan and its metrics, and what the doctor says of it."""

from dataclasses import asdict
from typing import Any

from studio import base_models, runs
from studio.doctor.chart import Chart, Finding
from studio.doctor.diagnosis import diagnosis
from studio.errors import StudioError
from studio.files import read_json
from studio.metrics import RunMetrics, series
from studio.plan import TrainingPlan
from studio.plan_changes import nested
from studio.records import TERMINAL, Run
from studio.resolve import learning_rate
from studio.resolved_plan import ResolvedPlan
from studio.studio import Studio

POINTS = 4000  # of each curve; of a longer one the lows and highs of even parts
CURVES = ("loss", "heldout_loss", "grad_norm", "trained_tokens", "learning_rate")
UNITS = {"answers": "row", "text": "piece", "preference": "pair"}


def findings(studio: Studio, run: Run) -> list[Finding]:
    """[] while nothing can be said: before it is resolved, and before enough steps are done."""
    chart = chart_of(studio, run)
    return diagnosis(chart) if chart else []


def shown(studio: Studio, run_id: str) -> list[dict[str, Any]]:
    """As the API has them; `changes` are what POST /runs/ID/clone takes."""
    found = findings(studio, runs.get_run(studio, run_id))
    return [{**asdict(finding), "changes": nested(finding.changes)} for finding in found]


def chart_of(studio: Studio, run: Run) -> Chart | None:
    folder = studio.data.run(run.id)
    values = read_json(folder.resolved)
    if not values:
        return None
    resolved, plan = ResolvedPlan.model_validate(values), runs.plan_of(studio, run.id)
    curves = {
        name: list(zip(found["x"], found["y"], strict=True))
        for name, found in series(studio, run.id, CURVES, POINTS).items()
    }
    last = RunMetrics(folder).last
    train_rows, heldout_rows = (
        int(numbers(studio, run, name, getattr(resolved, name))) for name in ("train_rows", "heldout_rows")
    )
    return Chart(
        steps=run.steps or int(last("steps") or resolved.steps),
        steps_per_epoch=-(-train_rows // resolved.batch_size),
        learning_rate=resolved.learning_rate,
        usual_rate=usual_rate(studio, plan, resolved),
        warmup_steps=resolved.warmup_steps,
        max_grad_norm=plan.training.max_grad_norm,
        train_rows=train_rows,
        heldout_rows=heldout_rows,
        own_heldout="itself" in resolved.reasons.get("validation", ""),
        keeps_best=plan.training.keeps_best,
        step=run.step,
        ended=run.state in TERMINAL,
        loss=curves["loss"],
        heldout=curves["heldout_loss"],
        grad_norm=curves["grad_norm"],
        trained_tokens=curves["trained_tokens"],
        not_numbers=missing(curves["learning_rate"], curves["loss"]),
        unit=UNITS[resolved.objective],
    )


def numbers(studio: Studio, run: Run, name: str, otherwise: float) -> float:
    """What the worker counted, once it has ended; what the plan expected before."""
    found = runs.result_of(studio, run.id).get(name)
    return found if isinstance(found, int | float) else otherwise


def missing(steps: list[tuple[float, float]], losses: list[tuple[float, float]]) -> list[float]:
    """Steps that were done without a loss that is a number. Curves that were thinned tell nothing of single steps."""
    if len(steps) >= POINTS:
        return []
    there = {step for step, _ in losses}
    return [step for step, _ in steps if step not in there]


def usual_rate(studio: Studio, plan: TrainingPlan, resolved: ResolvedPlan) -> float | None:
    """What "auto" would have taken; None where the base model is gone."""
    free = plan.model_copy(update={"training": plan.training.model_copy(update={"learning_rate": "auto"})})
    try:
        facts = base_models.facts_of(base_models.ready_model(studio, plan.base_model))
    except StudioError:
        return None
    return learning_rate(free, facts, {}, resolved.objective)
