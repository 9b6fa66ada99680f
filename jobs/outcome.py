"""How an attempt ended and what follows for its run: read from exit.json, result.json and the log, decided here and nowhere else."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobs.remedies import next_remedy
from studio.adapters import word_in
from studio.errors import StudioError
from studio.files import read_json
from studio.folders import AttemptFolder
from studio.metrics import last_lines
from studio.records import Run, Status, Want, utc_now

LOG_LINES = 50
KEPT = ("succeeded", "stopped")  # and left an adapter
STATUSES = (*KEPT, "paused", "cancelled", "failed")
OUT_OF_MEMORY = 77
CODES = {0: "succeeded", 75: "paused", 76: "cancelled", OUT_OF_MEMORY: "failed", 78: "failed"}
KILLED = "Signal 9 (SIGKILL)"  # as torch's launcher of several processes words it, below a traceback of its own
CRASHED = ("Traceback (most recent call last)", "Fatal Python error", "error: unrecognized arguments")
MOST_BACKOFF_SECONDS = 300


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
    if status == "paused" or (run.state is Status.PAUSING and run.want is Want.PAUSE and status in (None, "cancelled")):
        return _paused(run, step, ending)
    if run.state is Status.PAUSING and status in (None, "cancelled"):
        return _stopped_early(step, has_checkpoint)
    if result.get("kind") == "disk_full":
        return Outcome(
            Status.PAUSED,
            f"Paused at step {step}: the disk is full.",
            {**_said(result), "want": Want.PAUSE, "attempt": max(0, run.attempt - 1)},
        )
    if result.get("kind") == "out_of_memory" or (ending.code == OUT_OF_MEMORY and not result):
        return _out_of_memory(run, attempt, ending, result, step)
    if status == "failed" or status in KEPT:
        return _failed(attempt, ending, result, refused)
    return _cut_off(run, attempt, ending, from_outside=status == "cancelled")


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


def _paused(run: Run, step: int, ending: Ending) -> Outcome:
    text = f"Paused after step {step}." if step else "Paused before its first step."
    if ending.killed_by_us or ending.signal or ending.lost:
        text = "Paused; it ended before it had saved, and goes on from its last checkpoint."
    return Outcome(Status.PAUSED, text, {"attempt": max(0, run.attempt - 1), "want": Want.PAUSE})


def _stopped_early(step: int, has_checkpoint: bool) -> Outcome:
    """Asked to stop, and ended without an adapter."""
    if has_checkpoint:
        text = "It ended before its adapter was saved, and is paused at its last checkpoint. Resume it to go on, or cancel it."
        return Outcome(
            Status.PAUSED,
            text,
            {
                "want": Want.PAUSE,
                "problem": "The worker ended before its adapter was saved.",
                "fix": "Resume it and stop it again, or cancel it.",
            },
        )
    return Outcome(Status.CANCELLED, f"Stopped at step {step}, before there was anything to keep.")


def _out_of_memory(run: Run, attempt: AttemptFolder, ending: Ending, result: dict, step: int) -> Outcome:
    remedy = next_remedy(run, attempt.run)
    if remedy is None:
        return _failed(attempt, ending, result, None)
    held = f" ({result['peak_memory_bytes'] / 2**30:.1f} GB were in use)" if result.get("peak_memory_bytes") else ""
    text = f"Memory ran out at step {step + 1}{held}. {remedy.text}"
    values = {**remedy.values, "attempt": max(0, run.attempt - 1)}
    if run.state is Status.PAUSING:
        return Outcome(Status.PAUSED, f"Paused. {text}", {**values, "want": Want.PAUSE})
    return Outcome(Status.RETRY_WAIT, f"{text} It goes on from its last checkpoint.", values)


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


def _cut_off(run: Run, attempt: AttemptFolder, ending: Ending, from_outside: bool) -> Outcome:
    """The worker ended without a word: a crash of the program fails at once, anything else may pass and is tried again."""
    end = last_lines(attempt, LOG_LINES)
    if ending.code == 127 or (not ending.lost and KILLED not in end and any(sign in end for sign in CRASHED)):
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
    why = _why(ending, from_outside)
    if run.attempt >= run.max_attempts:
        said = {
            "problem": f"{why} It was tried {run.attempt} times.",
            "fix": "Choose a smaller batch or shorter sequences, or free memory on this machine, and train again.",
        }
        return Outcome(Status.FAILED, _with_log(said["problem"], attempt), said)
    seconds = min(MOST_BACKOFF_SECONDS, 2**run.attempt)
    text = f"{why} It goes on from its last checkpoint in {seconds} seconds (attempt {run.attempt + 1} of {run.max_attempts})."
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
    if from_outside or (ending.signal and ending.signal != 9):
        return "The training was ended from outside."
    return "The training was killed without a word, most likely because this machine's memory was full."


def _said(result: dict) -> dict:
    return {"problem": result.get("problem"), "fix": result.get("fix")}


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing."


def _with_log(problem: str, attempt: AttemptFolder) -> str:
    end = last_lines(attempt, LOG_LINES)
    return f"{problem}\n\nThe end of the log:\n{end}" if end else problem
