"""What a training tells while it runs, read from its attempts' files as they grow: curves, last values, samples, log."""

import math
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from studio.curves import Bucket, means, thinned
from studio.errors import NotFound
from studio.folders import AttemptFolder, RunFolder
from studio.metrics_file import SUMMED, of_attempt, rows_in
from studio.records import Run
from studio.studio import Studio

SPARKLINE_POINTS = 40


class RunMetrics:
    """All attempts at a run as one training: where an attempt went on from a checkpoint, what its forerunner did beyond it is gone."""

    def __init__(self, folder: RunFolder):
        self.attempts = [of_attempt(attempt) for attempt in folder.attempts()]

    def kept(self, name: str) -> list[Bucket]:
        buckets: list[Bucket] = []
        for attempt, limit in zip(self.attempts, self.limits(), strict=True):
            curve = attempt.curves.get(name)
            buckets += curve.until(limit) if curve else []
        return buckets

    def limits(self) -> list[float]:
        """For each attempt the step from which a later one did it again."""
        limits, limit = [], math.inf
        for attempt in reversed(self.attempts):
            limits.append(limit)
            if attempt.first_step is not None:
                limit = min(limit, attempt.first_step)
        return limits[::-1]

    def last(self, name: str) -> float | None:
        found = [attempt.last[name] for attempt in self.attempts if name in attempt.last]
        return found[-1] if found else None

    def base_heldout_loss(self) -> float | None:
        found = [attempt.base_heldout_loss for attempt in self.attempts if attempt.base_heldout_loss is not None]
        return found[-1] if found else None

    def progress(self) -> dict:
        """Columns of the run's row that lists show; only what is known."""
        losses = self.kept("loss")
        smooth = [attempt.smooth for attempt in self.attempts if attempt.smooth is not None]
        steps, step = self.last("steps"), losses[-1].last_x if losses else None
        known = {
            "step": step,
            "steps": steps,
            "loss": smooth[-1] if smooth else None,
            "heldout_loss": self.last("heldout_loss"),
            "base_heldout_loss": self.base_heldout_loss(),
            "sparkline": [round(value, 4) for value in means(losses, SPARKLINE_POINTS)] or None,
            "seconds_left": self.seconds_left(step, steps),
        }
        return {name: value for name, value in known.items() if value is not None}

    def seconds_left(self, step: float | None, steps: float | None) -> float | None:
        pace = self.attempts[-1].pace if self.attempts else None
        return None if pace is None or step is None or steps is None else round(pace * max(0, steps - step), 1)


def series(
    studio: Studio, run_id: str, names: Iterable[str], points: int = 240, since: float = 0
) -> dict[str, dict[str, list[float]]]:
    """Per name {"x": steps, "y": values}, at most `points` of them, lows and highs kept; `since`: only steps beyond it."""
    measured = RunMetrics(_folder(studio, run_id))
    curves = {}
    for name in names:
        kept = [bucket for bucket in measured.kept(name) if not since or bucket.last_x > since]
        found = thinned(kept, max(2, points))
        curves[name] = {"x": [x for x, _ in found], "y": [y for _, y in found]}
    return curves


def latest(studio: Studio, run_id: str) -> dict[str, float | None]:
    """The newest value of everything measured; beside them smooth_loss, base_heldout_loss, seconds_left, and sums over all that
    was computed: total_tokens, total_trained_tokens, total_computed_tokens, total_seconds, total_padding."""
    measured = RunMetrics(_folder(studio, run_id))
    values: dict[str, float | None] = {}
    for attempt in measured.attempts:
        values |= attempt.last
    progress = measured.progress()
    sums = {f"total_{name}": sum(attempt.sums[name] for attempt in measured.attempts) for name in SUMMED}
    return {
        **values,
        "smooth_loss": progress.get("loss"),
        **{name: progress.get(name) for name in ("base_heldout_loss", "seconds_left")},
        **sums,
    }


def samples(studio: Studio, run_id: str, most: int = 1000) -> list[dict]:
    """Answers to the pinned prompts: {"step", "prompt", "answer", "seconds"}, oldest first, the newest `most`."""
    folder = _folder(studio, run_id)
    measured = RunMetrics(folder)
    found: list[dict] = []
    for attempt, limit in zip(folder.attempts(), measured.limits(), strict=False):
        found += [row for row in _samples_of(attempt.samples) if row["step"] < limit]
    return found[-most:]


def _samples_of(path: Path) -> list[dict]:
    try:
        return list(rows_in(path.read_bytes().splitlines()))
    except OSError:
        return []


def log(studio: Studio, run_id: str, offset: int = 0, most: int = 65536) -> tuple[str, int]:
    """The log of all attempts, one after the other, from byte `offset` on, and the offset to go on from. Negative: that many bytes from the end."""
    paths = [attempt.log for attempt in _folder(studio, run_id).attempts()]
    sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
    if offset < 0:
        offset = max(0, sum(sizes) + offset)
    found, start = b"", 0
    for path, size in zip(paths, sizes, strict=True):
        if len(found) < most and offset + len(found) < start + size:
            with open(path, "rb") as file:
                file.seek(offset + len(found) - start)
                found += file.read(min(most - len(found), start + size - offset - len(found)))
        start += size
    found = _whole_letters(found)
    return found.decode(errors="replace"), offset + len(found)


def _whole_letters(text: bytes) -> bytes:
    """Without a last letter of which only the first bytes are there yet."""
    for back in range(1, min(4, len(text)) + 1):
        if text[-back] & 0xC0 != 0x80:  # the first byte of a letter
            length = 1 if text[-back] < 0x80 else 4 if text[-back] >= 0xF0 else 3 if text[-back] >= 0xE0 else 2
            return text[:-back] if length > back and len(text) > back else text
    return text


def last_lines(attempt: AttemptFolder, count: int = 50, most: int = 16384) -> str:
    """The end of an attempt's log."""
    try:
        with open(attempt.log, "rb") as file:
            file.seek(max(0, attempt.log.stat().st_size - most))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(islice(lines, max(0, len(lines) - count), None))


def _folder(studio: Studio, run_id: str) -> RunFolder:
    with studio.database.read() as session:
        if session.get(Run, run_id) is None:
            raise NotFound("run", run_id)
    return studio.data.run(run_id)
