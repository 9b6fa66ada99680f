"""The verdict on a run, as its worker wrote it."""

from typing import Any

from studio import runs
from studio.errors import NotFound, StudioError, clip
from studio.files import read_json
from studio.records import TERMINAL
from studio.studio import Studio
from studio.verdict.step_adapters import steps_kept

CUT_OFF = "The judging was cut off: the numbers are whole, and answers are missing."


class NoVerdict(NotFound):
    """The run has none: it is not at its end, was not to be judged, or is older than verdicts are."""

    def __init__(self, name: str):
        problem = f"There is no verdict on the run '{clip(name)}'."
        StudioError.__init__(self, problem, "A run is judged when its training is done, where its plan says so.")


def verdict_of(studio: Studio, run_id: str) -> dict[str, Any] | None:
    """Numbers, sentences and rows with both answers; "done" is false while it is being judged. None where there is none."""
    run = runs.get_run(studio, run_id)
    try:
        found = read_json(studio.data.run(run_id).attempt(run.attempt_epoch).verdict)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("version") != 1:
        return None
    if run.state in TERMINAL and not found.get("done"):
        return {**found, "done": True, "problem": CUT_OFF}
    return found


def step_to_take(studio: Studio, run_id: str) -> int | None:
    """The step whose adapter the verdict says to keep, where that is not the one kept and its checkpoint is there."""
    found = verdict_of(studio, run_id) or {}
    step = found.get("keep_step")
    if not found.get("overfitted_after") or step == found.get("step"):
        return None
    return step if step in steps_kept(studio.data.run(run_id)) else None


def given_verdict(studio: Studio, run_id: str) -> dict[str, Any]:
    """Raises NotFound where there is none."""
    found = verdict_of(studio, run_id)
    if found is None:
        raise NoVerdict(runs.get_run(studio, run_id).name)
    return found
