"""`python -m tests.on_small_disk <folder>`: a studio on a real disk that fills up and is emptied again. In a mount namespace of its own.

`unshare -rm` makes that for anybody whom the system lets, root or not; the small disk goes with its last process.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

from tests.house import House, eventually
from tests.queueing import queued
from tests.training_processes import processes_of

STEPS = 4


def main(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", str(folder)], check=True)
    house = House(folder / "data", SLOTS="1")
    try:
        play(house, folder / "ballast")
    finally:
        house.close()


def play(house: House, ballast: Path) -> None:
    training = queued(house.studio, "training", {"steps": STEPS, "hold": 1})
    house.until(training, "running")
    house.trains(training)
    waiting = queued(house.studio, "waiting", {"steps": STEPS})
    runner = house.runner()
    fill(ballast)

    refused = eventually(lambda: refusal(house, training), "a write that is refused")
    assert refused["problem"] == "The disk with the data folder is full: nothing was changed.", refused
    house.let_go(training)
    eventually(lambda: not processes_of(house.studio, training), "the trainer's end")
    assert house.seen(waiting)["state"] == "queued"

    ballast.unlink()
    paused = house.until(training, "paused")
    assert "disk is full" in paused["events"][-1]["text"], house.told(training)
    assert paused["attempt"] == 0, "a full disk is no failure"
    assert house.until(waiting, "succeeded")["attempt"] == 1
    house.ask(training, "resume")
    ended = house.until(training, "succeeded")
    assert ended["adapter"], house.told(training)
    assert house.curve(training) == list(range(1, STEPS + 1))
    assert house.runner() == runner, "it goes on by itself"


def fill(ballast: Path) -> None:
    with open(ballast, "wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def refusal(house: House, run) -> dict | None:
    """What a change is answered with; SQLite has a little room of its own, so the first ones may still be done."""
    answer = house.api.patch(f"/{run.id}", json={"name": "n" * 100})
    assert answer.status_code in (200, 507), answer.text
    return None if answer.status_code == 200 else answer.json()["error"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
