"""What a training that ran out of memory is tried again with: the same rows per step, fewer of them at once."""

from dataclasses import dataclass
from typing import Any

from studio.files import read_json, write_json
from studio.folders import AttemptFolder, RunFolder
from studio.records import Run
from studio.resolve import gentler
from studio.resolved_plan import ResolvedPlan

MOST_REMEDIES = 6


@dataclass(frozen=True)
class Remedy:
    text: str
    values: dict[str, Any]
    """Columns of the run."""


def next_remedy(run: Run, folder: RunFolder) -> Remedy | None:
    """What to try after memory ran out once more; None when nothing is left."""
    resolved = resolved_after(folder, run.oom_retries)
    if resolved is None or run.oom_retries >= MOST_REMEDIES or (found := gentler(resolved)) is None:
        return None
    changed, text = found
    if changed.micro_batch != resolved.micro_batch and dropout_of(folder):
        text += " With dropout that draws other random numbers: another, equally valid run."
    return Remedy(
        text,
        {
            "oom_retries": run.oom_retries + 1,
            "micro_batch": changed.micro_batch,
            "grad_accum": changed.accumulation,
            "grad_checkpointing": changed.gradient_checkpointing,
        },
    )


def write_resolved(run: Run, attempt: AttemptFolder) -> None:
    """Give an attempt its own numbers, where remedies have changed those of its run."""
    if run.oom_retries and (resolved := resolved_after(attempt.run, run.oom_retries)):
        write_json(attempt.resolved, resolved.model_dump(mode="json"))


def resolved_after(folder: RunFolder, remedies: int) -> ResolvedPlan | None:
    """The run's numbers with so many remedies; None where there are no numbers to change."""
    values = read_json(folder.resolved)
    resolved = ResolvedPlan.model_validate(values) if values else None
    for _ in range(remedies if resolved else 0):
        resolved, _ = gentler(resolved) or (resolved, "")
    return resolved


def dropout_of(folder: RunFolder) -> float:
    return (read_json(folder.plan, {}).get("method") or {}).get("dropout") or 0.0
