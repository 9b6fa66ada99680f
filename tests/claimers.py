"""Several runners at one queue: `python -m tests.claimers <data folder> <name> <how many>` claims runs and settles each at once, until none is left.

The claims and the settling are the runner's own; only the supervisor between them is left out. There is no lock
between them either: jobs.runner allows one runner for a data folder, and here it is the database that must keep them apart.
"""

import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import select

from studio import run_queue
from studio.folders import new_id
from studio.line.devices import see_devices
from studio.records import LOCAL_PERSON, Device, Run, RunEvent, Status
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.queueing import queued

PROJECT = Path(__file__).parents[1]


def fill(studio: Studio, runs: int, devices: int) -> None:
    """Rows alone: nobody opens the folders of these runs."""
    first = queued(studio, "run 1")
    of = {name: getattr(first, name) for name in ("base_model", "dataset", "method", "steps")}
    more = [Run(id=new_id(), name=f"run {number}", **of) for number in range(2, runs + 1)]
    with studio.database.write() as session:
        session.add_all(more)
        session.flush()
        session.add_all(RunEvent(run_id=run.id, epoch=0, to_state=Status.QUEUED, by=LOCAL_PERSON) for run in more)
    see_devices(studio, [(f"slot:{number}", f"Slot {number}", 2**30) for number in range(devices)])


def claim_all(studio: Studio, runners: int) -> tuple[float, str]:
    """So many processes, begun together, until the queue is empty: (seconds from the first claim to the last end, what went wrong)."""
    command = [sys.executable, "-m", "tests.claimers", str(studio.data.path)]
    started = [
        subprocess.Popen([*command, f"runner-{number}", str(runners)], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for number in range(runners)
    ]  # fmt: skip
    said = [process.communicate()[0] for process in started]
    wrong = "\n".join(text for process, text in zip(started, said, strict=True) if process.returncode or text)
    with studio.database.read() as session:
        moments = session.scalars(select(RunEvent.at).where(RunEvent.to_state != Status.QUEUED)).all()
    return (max(moments) - min(moments)).total_seconds(), wrong


def happened(studio: Studio) -> dict[str, list[tuple[str, str]]]:
    """By run: the states that it came to, and in what words."""
    found: dict[str, list[tuple[str, str]]] = {}
    with studio.database.read() as session:
        for event in session.scalars(select(RunEvent).order_by(RunEvent.seq)):
            found.setdefault(event.run_id, []).append((event.to_state, event.text))
    return found


def work(folder: Path, name: str, runners: int) -> None:
    studio = Studio.open(StudioSettings(data_folder=folder))
    with studio.database.read() as session:
        devices = list(session.scalars(select(Device.id)))
    (folder / f"{name} is here").touch()
    while len(list(folder.glob("* is here"))) < runners:
        time.sleep(0.01)
    while True:
        if claimed := run_queue.claim_next(studio, name, devices):
            run_queue.settle(studio, claimed[0], Status.SUCCEEDED, f"Finished by {name}.")
        elif nothing_waits(studio):
            return
        else:
            time.sleep(0.005)  # another one is quicker


def nothing_waits(studio: Studio) -> bool:
    with studio.database.read() as session:
        return session.scalar(select(Run.id).where(Run.state == Status.QUEUED).limit(1)) is None


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
