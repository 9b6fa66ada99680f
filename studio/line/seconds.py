"""How long runs will take, from what was measured on this machine; None where nothing was."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from studio.files import read_json
from studio.memory import START_SECONDS
from studio.metrics_file import of_attempt
from studio.records import LIVE, Run
from studio.speeds import measured_speed, slowness_of
from studio.studio import Studio


def seconds_of(studio: Studio, runs: Sequence[Run]) -> dict[str, float | None]:
    """By run: what it still takes on its devices.

    A run that trains says it itself. For another counts what its plan said from the speed of earlier runs on the same
    base, or, where there were none when it was queued, the speed of the last ones since, or of one that trains now.
    """
    speeds: dict[str, float | None] = {}

    def speed(base: str) -> float | None:
        if base not in speeds:
            speeds[base] = measured_speed(studio, base) or _speed_now(studio, base, runs)
        return speeds[base]

    return {run.id: _left(studio, run, speed) for run in runs}


def _left(studio: Studio, run: Run, speed) -> float | None:
    if run.state in LIVE and run.seconds_left is not None:
        return run.seconds_left
    whole = run.planned_seconds or _from_speed(studio, run, speed)
    return whole and whole * (1 - run.step / run.steps if run.steps else 1)


def _from_speed(studio: Studio, run: Run, speed) -> float | None:
    tokens, kind = _tokens(studio.data.run(run.id).resolved)
    if not tokens or not (known := speed(run.base_model)):
        return None
    return START_SECONDS[kind] + tokens * slowness_of(_plan(studio.data.run(run.id).plan)) / known


def _speed_now(studio: Studio, base: str, runs: Sequence[Run]) -> float | None:
    """Of a run that trains on this base now, as plain LoRA would have it."""
    for run in (each for each in runs if each.state in LIVE and each.step and each.base_model == base):
        attempt = studio.data.run(run.id).attempt(run.attempt_epoch)
        if found := of_attempt(attempt).last.get("tokens_per_second"):
            return found * slowness_of(_plan(studio.data.run(run.id).plan))
    return None


@lru_cache(2048)
def _tokens(resolved: Path) -> tuple[float, str]:
    """(tokens that each process of a run trains on, the kind of its device); the file never changes once written."""
    values = read_json(resolved) or {}
    return values.get("tokens", 0) / max(1, values.get("processes", 1)), values.get("device", "cpu")


@lru_cache(2048)
def _plan(path: Path) -> dict | None:
    return read_json(path)
