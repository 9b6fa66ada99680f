"""Stands in for the trainer: keeps its contract with the run's folder, in milliseconds and without torch. What it does is said in the plan's notes."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import time

from studio.files import read_json, write_json
from studio.folders import AdapterFolder, AttemptFolder, CheckpointFolder
from studio.storage import is_full

DEFAULT = {"steps": 5, "seconds": 0.02, "end": "succeed"}
asked = False


def ask(*_) -> None:
    global asked
    asked = True


def main(folder: str) -> int:
    signal.signal(signal.SIGTERM, ask)
    attempt = AttemptFolder(folder)
    plan = read_json(attempt.run.plan)
    does = {**DEFAULT, **json.loads(plan["notes"] or "{}")}
    if does.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if does.get("grandchild"):  # leaves session and process group, as a data loader's helper might
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    print("stub: begins", flush=True)
    alone = hold_alone(attempt)  # noqa: F841 - held for as long as this process lives
    step = done_before(attempt)
    if not step:
        tell(attempt, step=0, heldout_loss=4.0)
    while step < does["steps"]:
        if asked:
            while does.get("slow to end") and not (attempt.run.path / "go").exists():
                time.sleep(0.02)
            return end_early(attempt, step)
        time.sleep(does["seconds"])
        step += 1
        tell(
            attempt,
            step=step,
            steps=does["steps"],
            loss=4.0 / step,
            tokens=100,
            trained_tokens=40,
            seconds=does["seconds"],
        )
        checkpoint(attempt, step)
        while step == does.get("hold") and not asked and not (attempt.run.path / "go").exists():
            time.sleep(0.02)
        if "fits" in does:
            return out_of_memory(attempt, step, does["fits"])
        if step == does.get("at", does["steps"]) and does["end"] != "succeed":
            return end_badly(attempt, does["end"], step)
    save_adapter(attempt)
    return end(attempt, "succeeded", 0, step)


def hold_alone(attempt: AttemptFolder):
    """A lock that ends with this process: were a second training of the run alive, it would leave a note for the test."""
    lock = open(attempt.run.path / "alone.lock", "w")  # noqa: SIM115 - open for as long as this process lives
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (attempt.run.path / "two-at-once").touch()
    return lock


def done_before(attempt: AttemptFolder) -> int:
    steps = [int(path.name[5:]) for path in attempt.run.path.glob("attempt-*/checkpoints/step-*")]
    return max(steps, default=0)


def tell(attempt: AttemptFolder, **values) -> None:
    with open(attempt.metrics, "a") as file:
        file.write(json.dumps({**values, "at": time.time()}) + "\n")


def checkpoint(attempt: AttemptFolder, step: int) -> None:
    folder = CheckpointFolder(attempt.checkpoints / f"step-{step}").create()
    write_json(folder.manifest, {"step": step, "plan": "", "files": {}})


def end_early(attempt: AttemptFolder, step: int) -> int:
    wanted = attempt.want.read_text() if attempt.want.exists() else ""
    if wanted == "pause":
        return end(attempt, "paused", 75, step)
    if wanted == "stop" and step:
        save_adapter(attempt)
        return end(attempt, "stopped", 0, step)
    return end(attempt, "cancelled", 76, step)


def end_badly(attempt: AttemptFolder, how: str, step: int) -> int:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "kill once" and len(attempt.run.attempts()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "diverge":
        print("stub: the loss is not a number", flush=True)
        return end(
            attempt,
            "failed",
            1,
            step,
            kind="diverged",
            problem="The loss is not a number any more.",
            fix="Choose a lower learning rate.",
        )
    if how == "disk full":
        return end(
            attempt, "failed", 1, step, kind="disk_full", problem="The disk is full.", fix="Make room and resume."
        )
    if how == "bug":
        raise RuntimeError("the stub has a bug")
    if how == "nan":
        save_adapter(attempt, float("nan"))
    return 0  # "nothing": says that all is well, and leaves no adapter


def out_of_memory(attempt: AttemptFolder, step: int, fits: int) -> int:
    """It ends so until no more than so many rows are computed at once."""
    resolved = read_json(attempt.resolved) or read_json(attempt.run.resolved)
    if resolved["micro_batch"] <= fits:
        save_adapter(attempt)
        return end(attempt, "succeeded", 0, step)
    said = {"problem": "The device ran out of memory.", "fix": "Choose a smaller micro-batch."}
    return end(attempt, "failed", 77, step, kind="out_of_memory", peak_memory_bytes=3 << 30, **said)


def end(attempt: AttemptFolder, status: str, code: int, step: int, **more) -> int:
    write_json(
        attempt.result,
        {
            "status": status,
            "code": code,
            "step": step,
            "steps": step,
            "heldout_loss": 1.5,
            "base_heldout_loss": 4.0,
            **more,
        },
    )
    return code


def save_adapter(attempt: AttemptFolder, number: float = 0.5) -> None:
    folder = AdapterFolder(attempt.adapter).create()
    header = json.dumps(
        {"base.q_proj.lora_A.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
    ).encode()
    folder.weights.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<4f", 1, 2, 3, number))
    write_json(folder.config, {"peft_type": "LORA", "r": 2})
    write_json(folder.passport, {"version": 1, "layers": 1})
    folder.card.write_text("# A stub's adapter\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except OSError as error:
        if not is_full(error):
            raise
        sys.exit(73)  # as the trainer does (jobs/workers/ending.py)
