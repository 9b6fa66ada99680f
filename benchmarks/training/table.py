"""The figures of one workload as a table, for people and for the results file."""

from statistics import median

from benchmarks.training.job import Job
from benchmarks.training.measure import Found
from benchmarks.training.workloads import Workload

HEAD = [
    "", "tokens per CPU-s", "× Trainer", "our speed-up over it", "peak memory", "ours in its memory",
    "CPU-s to the first step", "share of the matrix rate", "loss at the end",
]  # fmt: skip


def best_peer(sides: list[Found]) -> Found | None:
    return max((found for found in sides if found.kind.peer), key=lambda found: found.speed, default=None)


def named(sides: list[Found], name: str) -> Found | None:
    return next((found for found in sides if found.kind.name == name), None)


def matrix_rate(sides: list[Found]) -> float | None:
    """Floating point operations per CPU-second of bare matrix products at the model's shapes; None: not measured."""
    found = named(sides, "matrix products")
    return median(step["flops"] / step["cpu_seconds"] for step in found.rounds) if found else None


def row(found: Found, sides: list[Found], job: Job) -> list[str]:
    ours, trainer, rate = named(sides, "ours"), named(sides, "Trainer"), matrix_rate(sides)
    same = "" if found.kind.same_batches else " (other batches)"
    return [
        found.kind.name,
        f"{found.speed:,.0f}",
        f"{found.times(trainer):.2f}" if trainer else "",
        f"{ours.times(found):.2f}" if found is not ours else "",
        f"{found.end['peak_bytes'] / 2**30:.2f} GiB",
        f"{ours.end['peak_bytes'] / found.end['peak_bytes']:.2f}" if found is not ours else "",
        f"{found.first['first_step_cpu_seconds']:.1f}",
        f"{found.work_rate(job) / rate:.0%}" if rate else "",
        f"{found.loss:.6f}{same}",
    ]


def markdown(workload: Workload, job: Job, sides: list[Found]) -> str:
    """A section of the results file: the table, and under it what the issue asks for in one line."""
    trained = [found for found in sides if found.kind.name != "matrix products"]
    cells = [HEAD, ["---"] * len(HEAD), *(row(found, sides, job) for found in trained)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    return f"## {workload.title}\n\n{table}\n\n{summary(job, sides)}\n"


def summary(job: Job, sides: list[Found]) -> str:
    ours, best, rate = named(sides, "ours"), best_peer(sides), matrix_rate(sides)
    peak = best.end["peak_bytes"]
    said = f"Best peer: {best.kind.name}; ours is {ours.times(best):.2f} times as fast in {ours.end['peak_bytes'] / peak:.2f} of its memory"
    if trainer := named(sides, "Trainer"):
        said += f", and {ours.times(trainer):.2f} times as fast as the plain Trainer"
    if rate:
        said += f". Bare matrix products reach {rate / 1e9:.1f} GFLOP per CPU-second; ours {ours.work_rate(job) / rate:.0%} of that"
    return f"{said}."
