"""A whole studio with a stub for the trainer, started as a person starts it and seen through its API."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from studio.files import read_json
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.running import end, start

PATIENCE = 60  # seconds on a busy machine until something must have happened; an idle one takes 2 to 6


class House:
    def __init__(self, folder: Path, **environment: str):
        self.folder, self.environment = folder, {"STUDIO_POLL_SECONDS": "0.2", **environment}
        self.start()
        self.studio = Studio.open(StudioSettings(data_folder=folder))

    def start(self) -> None:
        self.app = start(self.folder, program=("-m", "tests.stub_app"), **self.environment)
        self.api = httpx.Client(base_url=f"{self.app.address}/api/v1/runs", timeout=PATIENCE)

    def runner(self) -> psutil.Process:
        children = psutil.Process(self.app.process.pid).children()
        (found,) = [child for child in children if "tests.stub_runner" in child.cmdline()]
        return found

    def seen(self, run) -> dict:
        """The run as a person sees it now."""
        answer = self.api.get(f"/{run.id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, run, what: str) -> None:
        answer = self.api.post(f"/{run.id}/{what}")
        assert answer.status_code == 200, answer.text

    def until(self, run, *states: str) -> dict:
        return eventually(
            lambda: (found := self.seen(run))["state"] in states and found, states, lambda: self.told(run)
        )

    def told(self, run) -> str:
        found = self.seen(run)
        return f"{found['problem']}\n" + "\n".join(f"{each['to']}: {each['text']}" for each in found["events"])

    def curve(self, run) -> list[float]:
        """The steps of its loss."""
        return self.api.get(f"/{run.id}/metrics").json()["series"]["loss"]["x"]

    def pids(self, run) -> dict | None:
        """Who its newest attempt is."""
        attempts = self.studio.data.run(run.id).attempts()
        return read_json(attempts[-1].process) if attempts else None

    def trains(self, run) -> None:
        """Wait until its trainer has done its first step."""
        steps = self.studio.data.run(run.id).path
        eventually(lambda: list(steps.glob("attempt-*/checkpoints/step-*")), f"a trainer of {run.name}")

    def let_go(self, run) -> None:
        """Whatever held it holds it no longer."""
        (self.studio.data.run(run.id).path / "go").touch()

    def close(self) -> None:
        end(self.folder, self.app.process)
        self.studio.database.close()


def eventually(seen: Callable, what: object, more: Callable[[], str] = lambda: ""):
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        if found := seen():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not seen in {PATIENCE} s: {what}\n{more()}")
