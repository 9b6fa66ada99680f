"""Let all sides train in turn, A B C A B C, on the same batches, and make figures of what they tell."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.training.job import Job
from benchmarks.training.sides import KINDS, PROJECT, Kind, Side, environment, python_of
from benchmarks.training.workloads import SHAPE, Workload

SAME = {"answers": 1e-5, "preference": 1e-4}  # relative: losses further apart are not of the same training
# (A preference is a small difference between log-probabilities of whole answers, each of thousands.)
SPARE_BATCHES = 2  # the first step is not counted, and a Trainer fetches the batch after the last


@dataclass
class Found:
    """What one side told of its steps; the first one, which warms up, stands apart."""

    kind: Kind
    first: dict = field(default_factory=dict)
    rounds: list[dict] = field(default_factory=list)
    end: dict = field(default_factory=dict)

    @property
    def speeds(self) -> list[float]:
        """Non-pad tokens per CPU-second of each round."""
        return [step["tokens"] / step["cpu_seconds"] for step in self.rounds]

    @property
    def speed(self) -> float:
        return median(self.speeds)

    @property
    def loss(self) -> float:
        return self.rounds[-1]["loss"]

    def times(self, other: "Found") -> float:
        """How much faster than the other: median over the rounds, or of the medians where the batches differ."""
        if self.kind.same_batches and other.kind.same_batches:
            return median(mine / its for mine, its in zip(self.speeds, other.speeds, strict=True))
        return self.speed / other.speed

    def work_rate(self, job: Job) -> float:
        """Useful floating point operations per CPU-second: forward and gradients of the activations, nothing else.

        A side that leaves work out tells itself what it has done ("useful"); the others do it for all their tokens.
        """
        head = 4 * job.hidden_size * job.vocabulary
        return median(
            step.get("useful", 4 * job.linear_parameters * step["tokens"] + head * step["supervised"])
            / step["cpu_seconds"]
            for step in self.rounds
        )


def sides_of(workload: Workload) -> tuple[list[Kind], list[Kind]]:
    """Those that are measured, and those that would be if they were installed."""
    able = [kind for kind in KINDS if workload.objective in kind.objectives]
    wanted = [kind for kind in able if not workload.sides or kind.name in workload.sides]
    return [kind for kind in wanted if python_of(kind)], [kind for kind in wanted if not python_of(kind)]


def prepare(workload: Workload, batch_size: int, batches: int, folder: Path, shape: dict) -> None:
    """Make the job in a process of its own: the parent needs neither torch nor the memory of a model."""
    wanted = {"workload": asdict(workload), "batch_size": batch_size, "batches": batches, "shape": shape}
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.training.prepare", str(folder), json.dumps(wanted)],
        cwd=PROJECT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"The job could not be made:\n{made.stdout[-1000:]}{made.stderr[-3000:]}")


def measure(
    workload: Workload,
    batch_size: int,
    rounds: int,
    folder: Path,
    say=print,
    shape: dict = SHAPE,
    without: Sequence[str] = (),
) -> tuple[Job, list[Found]]:
    """Raises SystemExit when a side fails, or when losses that must be equal are not."""
    prepare(workload, batch_size, rounds + SPARE_BATCHES, folder, shape)
    present = [kind for kind in sides_of(workload)[0] if kind.name not in without]
    running: list[tuple[Side, Found]] = []
    try:
        for kind in present:  # one after another: each has started and done its first step before the next begins
            side, found = Side(kind, python_of(kind), folder), Found(kind)
            running.append((side, found))
            found.first = side.step()
            say(f"  {kind.name}: ready after {found.first['first_step_cpu_seconds']:.1f} CPU-s", flush=True)
        for number in range(rounds):
            for side, found in running:
                found.rounds.append(side.step())
            say(f"  round {number + 1} of {rounds}", flush=True)
            if not workload.dropout:
                alike = [found for _, found in running if found.kind.same_batches]
                compare_losses(alike, number, SAME[workload.objective])
        for side, found in running:
            found.end = side.end()
    finally:
        for side, _ in running:
            side.kill()
    return Job.read(str(folder)), [found for _, found in running]


def compare_losses(sides: list[Found], number: int, same: float = SAME["answers"]) -> None:
    expected = sides[0].rounds[number]["loss"]
    for found in sides:
        loss = found.rounds[number]["loss"]
        if not abs(loss - expected) <= same * abs(expected):  # also when one is no number
            raise SystemExit(
                f"Round {number + 1}: the losses of {sides[0].kind.name} ({expected:.7f}) and {found.kind.name} "
                f"({loss:.7f}) differ by more than {same:g}, so they do not train the same and no speed means anything."
            )
