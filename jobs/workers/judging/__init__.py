"""The verdict at a training's end: the kept adapter against the base on the held-out rows, in numbers and in answers."""

from jobs.workers.judging.verdict import judge

__all__ = ["judge"]
