"""One metrics.jsonl, read as it grows: what was read before is not read again."""

import contextlib
import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from studio.curves import Curve
from studio.files import read_json, write_json
from studio.folders import AttemptFolder

CHUNK_BYTES = 2**20
SMOOTHING = 0.1  # weight of the newest loss in the running average that lists show
FILES_REMEMBERED = 256
ABOUT_THE_ROW = ("step", "steps", "at")  # numbers that place a row rather than measure something
SUMMED = ("tokens", "trained_tokens", "computed_tokens", "seconds", "padding")
SAVED_EVERY_BYTES = 8 * 2**20  # of a short run nothing is saved
VERSION = 2
STATE = ("offset", "last", "sums", "first_step", "base_heldout_loss", "smooth", "pace", "step_at")
Row = dict[str, Any]


class AttemptMetrics:
    """A last line that is still being written is left for the next look; a line that means nothing is passed over."""

    def __init__(self, attempt: AttemptFolder):
        self.path, self.saved = attempt.metrics, attempt.curves
        self.lock = threading.Lock()
        self.reset()
        self.saved_at = 0  # offset up to which self.saved holds everything
        self.load()

    def reset(self) -> None:
        self.offset = 0
        self.curves: dict[str, Curve] = defaultdict(Curve)
        self.last: dict[str, float] = {}
        self.sums = dict.fromkeys(SUMMED, 0.0)
        self.first_step: float | None = None  # of its first training step: where this attempt went on
        self.base_heldout_loss: float | None = None
        self.smooth: float | None = None  # running average of the loss
        self.pace: float | None = None  # running average of the seconds from one step to the next, evaluations included
        self.step_at: tuple[float, float] | None = None  # (step, time) of the newest step

    def load(self) -> None:
        """Take what an earlier look has saved; what cannot be read is read anew from the metrics themselves."""
        try:
            found = read_json(self.saved)
            if found and found["version"] == VERSION and found["state"]["offset"] <= self.path.stat().st_size:
                for name, value in found["state"].items():
                    setattr(self, name, value)
                for name, (width, rows) in found["curves"].items():
                    self.curves[name] = Curve.from_rows(rows, width)
                self.saved_at = self.offset
        except (OSError, ValueError, TypeError, KeyError):
            self.reset()

    def save(self) -> None:
        """Best effort: without it, the next one who looks takes longer."""
        curves = {name: (curve.width, curve.as_rows()) for name, curve in self.curves.items()}
        with contextlib.suppress(OSError):
            write_json(
                self.saved,
                {"version": VERSION, "state": {name: getattr(self, name) for name in STATE}, "curves": curves},
            )
            self.saved_at = self.offset

    def update(self) -> "AttemptMetrics":
        """Read what is new. Quick when nothing is."""
        with self.lock:
            try:
                size = self.path.stat().st_size
            except OSError:
                return self
            if size < self.offset:
                self.reset()
            if size > self.offset:
                with open(self.path, "rb") as file:
                    file.seek(self.offset)
                    for text in self._whole_lines(file):
                        self._take(list(rows_in(text.splitlines())))
                if self.offset - self.saved_at >= SAVED_EVERY_BYTES:
                    self.save()
        return self

    def _whole_lines(self, file: BinaryIO) -> Iterator[bytes]:
        while chunk := file.read(CHUNK_BYTES):
            whole = chunk.rfind(b"\n") + 1
            if not whole and len(chunk) == CHUNK_BYTES:
                whole = len(chunk)  # a line as long as this is none of ours
            if not whole:
                return
            self.offset += whole
            file.seek(self.offset)
            yield chunk[:whole]

    def _take(self, rows: list[Row]) -> None:
        """Many rows at once: a long run has a million."""
        columns: dict[str, tuple[list, list]] = defaultdict(lambda: ([], []))
        for row in rows:
            step = row["step"]
            for name, value in row.items():
                if finite(value):
                    xs, ys = columns[name]
                    xs.append(step)
                    ys.append(value)
            if "loss" in row:
                self._take_step(step, row["loss"], row.get("at"))
            elif step == 0 and finite(row.get("heldout_loss")):
                self.base_heldout_loss = row["heldout_loss"]
        for name, (xs, ys) in columns.items():
            self.last[name] = ys[-1]
            if name in SUMMED:
                self.sums[name] += sum(ys)
            if name not in ABOUT_THE_ROW:
                self.curves[name].extend(xs, ys)

    def _take_step(self, step: float, loss: float | None, at: float | None) -> None:
        if self.first_step is None:
            self.first_step = step
        if finite(loss):
            self.smooth = loss if self.smooth is None else self.smooth + SMOOTHING * (loss - self.smooth)
        if finite(at):
            if self.step_at and step > self.step_at[0]:
                spent = max(0.0, at - self.step_at[1]) / (step - self.step_at[0])
                self.pace = spent if self.pace is None else self.pace + SMOOTHING * (spent - self.pace)
            self.step_at = (step, at)


def rows_in(lines: Iterable[bytes]) -> Iterator[Row]:
    """Lines that are JSON objects with a step; one that was torn by a crash is passed over."""
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if type(row) is dict and finite(row.get("step")):
            yield row


def finite(value: Any) -> bool:
    """A number that can be drawn: not true or false, not infinite, not NaN."""
    return (type(value) is float or type(value) is int) and -1e300 < value < 1e300


_remembered: OrderedDict[Path, AttemptMetrics] = OrderedDict()
_remembering = threading.Lock()


def of_attempt(attempt: AttemptFolder) -> AttemptMetrics:
    """This attempt's metrics up to now."""
    with _remembering:
        found = _remembered.get(attempt.metrics)
        if found is None:
            found = _remembered[attempt.metrics] = AttemptMetrics(attempt)
        _remembered.move_to_end(attempt.metrics)
        while len(_remembered) > FILES_REMEMBERED:
            _remembered.popitem(last=False)
    return found.update()
