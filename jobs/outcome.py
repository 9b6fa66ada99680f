"""How an attempt ended and what follows for its run: read from exit.json, result.json and the log, decided here and nowhere else."""

import signal
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobs.remedies import next_remedy
from studio.adapters import word_in
from studio.errors import StudioError
from studio.files import read_json
from studio.folders import AttemptFolder
from studio.line.order import LONGEST_WAIT
from studio.metrics import last_lines
from studio.records import Run, Status, Want, utc_now
from studio.storage import is_broken, is_full

LOG_LINES = 50
KEPT = ("succeeded", "stopped")  # and left an adapter
STATUSES = (*KEPT, "paused", "cancelled", "failed")
DISK_FULL, FILE_SYSTEM, OUT_OF_MEMORY = 73, 74, 77
CODES = {0: "succeeded", DISK_FULL: "paused", 75: "paused", 76: "cancelled", OUT_OF_MEMORY: "failed", 78: "failed"}
FULL = {
    "problem": "The disk is full, so the training has paused.",
    "fix": "Make room, then resume it: it goes on from its last checkpoint.",
}
PAUSES = {  # kinds of ends that pause a run though nobody asked for it
    "disk_full": "the disk is full",
    "no_checkpoint": "none of its checkpoints can be used",
}
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
KILLED = "Signal 9 (SIGKILL)"  # as torch's launcher of several processes words it, below a traceback of its own
CRASHED = ("Traceback (most recent call last)", "Fatal Python error", "error: unrecognized arguments")


@dataclass(frozen=True)
class Ending:
    """What is known of an attempt of which nothing lives any more."""

    code: int | None = None
    signal: int | None = None
    killed_by_us: bool = False
    never_started: bool = False  # no supervisor ever took the attempt
    lost: str | None = None  # why nobody saw it end: "the machine was restarted", "its supervisor was killed"


@dataclass(frozen=True)
class Outcome:
    to: Status
    text: str
    values: dict[str, Any] = field(default_factory=dict)
    """Columns to set along with the state."""


def outcome(
    run: Run, attempt: AttemptFolder, ending: Ending, refused: StudioError | None, has_checkpoint: bool
) -> Outcome:
    """`refused`: why the attempt's adapter cannot be taken; None when it can."""
    result = read_json(attempt.result, {})
    status, step = status_of(result, ending), result.get("step") or run.step
    if status in KEPT and refused is None:
        return _kept(status, step, result)
    if run.state is Status.CANCELLING:
        return Outcome(Status.CANCELLED, f"Ended at step {step}; nothing is kept.")
    if result.get("kind") in PAUSES or ending.code == DISK_FULL:
        return _paused_unasked(run, step, result)
    if result.get("kind") == "file_system" or ending.code == FILE_SYSTEM:
        status = None  # may pass: as if it had been cut off
    if status == "paused" or (run.state is Status.PAUSING and run.want is Want.PAUSE and status in (None, "cancelled")):
        return _paused(run, step, ending, has_checkpoint)
    if run.state is Status.PAUSING and status in (None, "cancelled"):
        return _stopped_early(run, step, has_checkpoint)
    if result.get("kind") == "out_of_memory" or (ending.code == OUT_OF_MEMORY and not result):
        return _out_of_memory(run, attempt, ending, result, step, _onwards(has_checkpoint))
    if status == "failed" or status in KEPT:
        return _failed(attempt, ending, result, refused)
    return _cut_off(run, attempt, ending, result, _onwards(has_checkpoint), from_outside=status == "cancelled")


def not_started(run: Run, attempt: AttemptFolder, error: Exception) -> Outcome:
    """What follows when the process of an attempt could not even be made."""
    if is_full(error):
        return Outcome(Status.PAUSED, "Paused before it started: the disk is full.", {**FULL, **_given_back(run)})
    if is_broken(error):
        return _cut_off(run, attempt, Ending(code=FILE_SYSTEM), {}, _onwards(run.step > 0), from_outside=False)
    text = f"Its process cannot be started: {error}."
    fix = "Free memory or processes on this machine, and train again."
    return Outcome(Status.FAILED, text, {"problem": text, "fix": fix})


def status_of(result: dict, ending: Ending) -> str | None:
    """How the worker says it ended. Its last word counts for more than its exit code: a signal may have come while it was leaving."""
    said = result.get("status")
    return said if said in STATUSES else CODES.get(ending.code)


def _kept(status: str, step: int, result: dict) -> Outcome:
    losses = {name: result[name] for name in ("heldout_loss", "base_heldout_loss") if result.get(name) is not None}
    values = {
        **_said(result),
        "step": step,
        "verdict": word_in(result),
        **losses,
    }  # what is kept of a training that diverged has a problem too
    if result.get("kind") == "diverged":
        return Outcome(
            Status.SUCCEEDED, f"{result['problem']} The adapter of step {result['best_step']} is kept.", values
        )
    if status == "stopped":
        return Outcome(Status.SUCCEEDED, f"Stopped after step {step}; the adapter is kept.", values)
    return Outcome(Status.SUCCEEDED, f"Finished after step {step}; the adapter is kept.", values)


def _paused(run: Run, step: int, ending: Ending, has_checkpoint: bool) -> Outcome:
    text = f"Paused after step {step}." if step else "Paused before its first step."
    if ending.killed_by_us or ending.signal or ending.lost:
        text = "Paused; it ended before it had saved, and goes on from its last checkpoint."
    if step and not has_checkpoint:
        text = "Paused; it ended before it had saved a checkpoint, and begins at its first step again."
    return Outcome(Status.PAUSED, text, _given_back(run))


def _onwards(has_checkpoint: bool) -> str:
    """What an attempt that follows by itself does."""
    return "It goes on from its last checkpoint" if has_checkpoint else "It begins at its first step again"


def _paused_unasked(run: Run, step: int, result: dict) -> Outcome:
    """It cannot go on until a person has done something."""
    kind = result.get("kind") if result.get("kind") in PAUSES else "disk_full"
    said = _said(result) if result.get("problem") else FULL
    return Outcome(Status.PAUSED, f"Paused at step {step}: {PAUSES[kind]}.", {**said, **_given_back(run)})


def _given_back(run: Run) -> dict[str, Any]:
    """A pause is no failure: the attempt does not count."""
    return {"want": Want.PAUSE, "attempt": max(0, run.attempt - 1)}


def _stopped_early(run: Run, step: int, has_checkpoint: bool) -> Outcome:
    """Asked to stop, and ended without an adapter."""
    if has_checkpoint:
        text = "It ended before its adapter was saved, and is paused at its last checkpoint. Resume it to go on, or cancel it."
        return Outcome(
            Status.PAUSED,
            text,
            {
                **_given_back(run),
                "problem": "The worker ended before its adapter was saved.",
                "fix": "Resume it and stop it again, or cancel it.",
            },
        )
    return Outcome(Status.CANCELLED, f"Stopped at step {step}, before there was anything to keep.")


def _out_of_memory(run: Run, attempt: AttemptFolder, ending: Ending, result: dict, step: int, onwards: str) -> Outcome:
    remedy = next_remedy(run, attempt.run)
    if remedy is None:
        return _failed(attempt, ending, result, None)
    held = f" ({result['peak_memory_bytes'] / 2**30:.1f} GiB were in use)" if result.get("peak_memory_bytes") else ""
    text = f"Memory ran out at step {step + 1}{held}. {remedy.text}"
    values = {**remedy.values, "attempt": max(0, run.attempt - 1)}
    if run.state is Status.PAUSING:
        return Outcome(Status.PAUSED, f"Paused. {text}", {**values, "want": Want.PAUSE})
    return Outcome(Status.RETRY_WAIT, f"{text} {onwards}.", values)


def _failed(attempt: AttemptFolder, ending: Ending, result: dict, refused: StudioError | None) -> Outcome:
    said = _said(result)
    if not said["problem"] and refused and status_of(result, ending) in KEPT:
        said = {"problem": f"The worker ended without a usable adapter. {refused.problem}", "fix": refused.fix}
    elif not said["problem"]:
        said = {
            OUT_OF_MEMORY: {
                "problem": "The training ran out of memory.",
                "fix": "Choose a smaller micro-batch or shorter sequences.",
            },
            78: {
                "problem": "The worker could not follow the plan.",
                "fix": "Look at the end of the log, change the settings and train again.",
            },
        }.get(ending.code, {"problem": "The training failed.", "fix": "Look at the end of the log."})
    return Outcome(Status.FAILED, _with_log(said["problem"], attempt), said)


def _cut_off(
    run: Run, attempt: AttemptFolder, ending: Ending, result: dict, onwards: str, from_outside: bool
) -> Outcome:
    """The worker ended without a word: a crash of the program fails at once, anything else may pass and is tried again."""
    end = last_lines(attempt, LOG_LINES)
    may_pass = ending.lost or KILLED in end or result.get("kind") == "file_system" or ending.code == FILE_SYSTEM
    if ending.code == 127 or (not may_pass and any(sign in end for sign in CRASHED)):
        said = {
            "problem": f"The worker crashed: {_last_line(end)}",
            "fix": "Look at the end of the log, and report it if the settings are not to blame.",
        }
        return Outcome(Status.FAILED, _with_log(said["problem"], attempt), said)
    if ending.never_started:
        return Outcome(
            Status.RETRY_WAIT,
            "It had not started when the runner ended; it starts again.",
            {"attempt": max(0, run.attempt - 1)},
        )
    why = result.get("problem") or _why(ending, from_outside)
    if run.attempt >= run.max_attempts:
        fix = result.get("fix") or _what_to_do(ending, from_outside)
        said = {"problem": f"{why} It was tried {run.attempt} times.", "fix": fix}
        return Outcome(Status.FAILED, _with_log(said["problem"], attempt), said)
    seconds = min(int(LONGEST_WAIT.total_seconds()), 2**run.attempt)
    text = f"{why} {onwards} in {seconds} seconds (attempt {run.attempt + 1} of {run.max_attempts})."
    return Outcome(
        Status.RETRY_WAIT,
        text,
        {
            "not_before": utc_now() + timedelta(seconds=seconds),
            "problem": why,
            "fix": "Nothing to do: it is tried again.",
        },
    )


def _why(ending: Ending, from_outside: bool) -> str:
    if ending.lost:
        return f"The training was cut off: {ending.lost}."
    if ending.code == FILE_SYSTEM:
        return "The disk or network with the data folder did not do its work."
    if crash := _crash_of(ending):
        return f"The training's program was ended by the system for a fault of its own ({crash.name})."
    if from_outside or ending.killed_by_us or (ending.signal and ending.signal != signal.SIGKILL):
        return "The training was ended from outside."
    return "The training was killed without a word, most likely because this machine's memory was full."


def _what_to_do(ending: Ending, from_outside: bool) -> str:
    if ending.lost or from_outside or ending.killed_by_us:
        return "See what ends programs on this machine, and train again."
    if ending.code == FILE_SYSTEM:
        return "Look at the machine's log for errors of that disk, and train again."
    if _crash_of(ending):
        return "Look at the end of the log and at the versions of torch and the driver, and report it."
    return "Choose a smaller batch or shorter sequences, or free memory on this machine, and train again."


def _crash_of(ending: Ending) -> signal.Signals | None:
    """The signal of a crash; a shell or launcher that hands it on says 128 and its number."""
    number = ending.signal or (ending.code or 0) - 128
    return next((crash for crash in CRASHES if crash == number), None)


def _said(result: dict) -> dict:
    return {"problem": result.get("problem"), "fix": result.get("fix")}


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing."


def _with_log(problem: str, attempt: AttemptFolder) -> str:
    end = last_lines(attempt, LOG_LINES)
    return f"{problem}\n\nThe end of the log:\n{end}" if end else problem
