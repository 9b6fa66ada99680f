"""A side's end of the pipe: it waits until it is its turn to do a step, and tells what the step cost.

Every side, whatever trains in it, is a process of its own that reads "go" or "end" from its standard input, a line each,
and answers each "go" with one line of JSON. Its costs are its own CPU time, from "go" until it is ready for the next.
"""

import importlib.metadata
import json
import os
import sys
import time

VERSIONS = ("torch", "transformers", "peft", "accelerate", "trl", "llamafactory")


class Turns:
    def __init__(self):
        self.answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what the libraries print is no answer
        self.began: float | None = None
        self.step: dict = {}

    def wait(self) -> None:
        """Tell what the last step cost, then wait for the next turn. Raises SystemExit when there is none."""
        if self.began is not None:
            self.answer(**self.step, cpu_seconds=time.process_time() - self.began)
        if sys.stdin.readline().strip() != "go":
            self.answer(peak_bytes=peak_bytes(), versions=versions())
            raise SystemExit(0)
        self.began = time.process_time()

    def done(self, **step) -> None:
        """The step is done: its loss, its tokens (real ones), slots (with padding) and supervised tokens."""
        first = {"first_step_cpu_seconds": time.process_time()} if not self.step else {}
        self.step = {**step, **first}

    def answer(self, **values) -> None:
        print(json.dumps(values), file=self.answers, flush=True)


def peak_bytes() -> int:
    from jobs.workers.report import peak_memory_bytes  # imports torch, which the side has done by now in its own way

    return peak_memory_bytes()


def versions() -> dict[str, str]:
    """Of this side's own Python: sides may have different ones."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
