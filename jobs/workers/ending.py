"""The ways in which a training ends: asked to by a signal, finished, or stopped by something that is said in words."""

import signal
from dataclasses import dataclass

import torch
from accelerate.utils import broadcast_object_list

from jobs.workers.checkpoint import NoCheckpointLeft
from jobs.workers.optimizer import Diverged
from studio.errors import StudioError
from studio.folders import AttemptFolder
from studio.storage import is_broken, is_full

SUCCEEDED, DISK_FULL, FILE_SYSTEM, PAUSED, CANCELLED, OUT_OF_MEMORY, REFUSED = 0, 73, 74, 75, 76, 77, 78


@dataclass(frozen=True)
class Ended:
    status: str  # as in result.json
    code: int  # exit code
    kind: str
    problem: str
    fix: str


class Request:
    """What the person asks of a running training. The runner writes it into the file `want`, then signals."""

    def __init__(self, attempt: AttemptFolder):
        self.attempt, self.signalled = attempt, False
        signal.signal(signal.SIGTERM, self.note)

    def note(self, number, frame) -> None:
        self.signalled = True

    def wanted(self, accelerator) -> str | None:
        """ "stop" (and keep), "pause", "cancel", or None to go on; the same answer in every process."""
        said = [self.read() if self.signalled else None]
        return broadcast_object_list(said)[0] if accelerator.num_processes > 1 else said[0]

    def read(self) -> str:
        try:
            wanted = self.attempt.want.read_text(encoding="utf-8").strip()
        except OSError:
            return "cancel"
        return wanted if wanted in ("stop", "pause") else "cancel"


def ending_in_words(error: Exception) -> Ended | None:
    """How an error ends the training, or None when it is a bug."""
    if isinstance(error, NoCheckpointLeft):
        return Ended("paused", PAUSED, "no_checkpoint", error.problem, error.fix)
    if isinstance(error, StudioError):
        return Ended("failed", REFUSED, "plan", error.problem, error.fix)
    if isinstance(error, Diverged):
        problem = f"The training diverged: up to step {error.step} the loss was three times not a number."
        return Ended(
            "failed",
            REFUSED,
            "diverged",
            problem,
            f"Choose a learning rate below {error.learning_rate:.1e}, such as {error.learning_rate / 3:.1e}, and look for odd rows in the data.",
        )
    if is_out_of_memory(error) and is_of_the_machine(error):
        return Ended(
            "failed",
            OUT_OF_MEMORY,
            "host_memory",
            "This machine's own memory ran out, not the GPU's.",
            "End other programs or give the machine more memory; a shorter sequence length and fewer rows of data need less of it.",
        )
    if is_out_of_memory(error):
        return Ended(
            "failed",
            OUT_OF_MEMORY,
            "out_of_memory",
            "The device ran out of memory.",
            "Choose a smaller micro-batch, shorter sequences or gradient checkpointing.",
        )
    if is_full(error):
        return Ended(
            "paused",
            DISK_FULL,
            "disk_full",
            "The disk is full, so the training has paused.",
            "Make room, then resume it: it goes on from its last checkpoint.",
        )
    if is_broken(error):
        return Ended(
            "failed",
            FILE_SYSTEM,
            "file_system",
            f"The disk or network with the data folder did not do its work: {error}.",
            "Look at the machine's log for errors of that disk, and train again.",
        )
    return None


def is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        said in str(error) for said in ("can't allocate memory", "out of memory", "not enough memory")
    )


def is_of_the_machine(error: Exception) -> bool:
    """Whether memory ran out beside a GPU that is trained on: fewer rows at once would not help. On a CPU the two are one."""
    return torch.cuda.is_available() and not isinstance(error, torch.OutOfMemoryError) and "CUDA" not in str(error)
