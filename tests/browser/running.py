"""A whole studio as a person starts it: `python app.py` in a data folder of its own, on a free port, ended with everything it started."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
READY = re.compile(r"ready at (http://\S+)")
START_SECONDS = 180  # a busy 2-core machine takes 20
CHROMIUM = os.environ.get("STUDIO_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Running:
    address: str
    process: subprocess.Popen
    folder: Path

    def kill(self) -> None:
        """End the web process alone, as a crash would: no handler of it runs."""
        self.process.kill()
        self.process.wait(30)


def start(folder: Path, port: int = 0, program: Sequence[str] = ("app.py",), **environment: str) -> Running:
    """Start the studio and wait until it says its address. `program`: what Python is given."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.parent / f"{folder.name}-app.log"
    settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", **environment}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *program, "--port", str(port), "--data-folder", str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            start_new_session=True,
        )
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        said = log.read_text(encoding="utf-8", errors="replace")
        if found := READY.search(said):
            return Running(found.group(1).rstrip("/"), process, folder)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    end(folder, process)
    raise AssertionError(
        f"The studio did not start. It said:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
    )


def end(folder: Path, process: subprocess.Popen) -> None:
    """End the studio as Ctrl-C does, then whatever of it still lives: its training goes on by design."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
    for left in belonging_to(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()


def belonging_to(folder: Path) -> list[psutil.Process]:
    """Processes that were started for this data folder, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            named = [*process.cmdline(), process.environ().get("STUDIO_DATA_FOLDER", "")]
            if process.pid != os.getpid() and any(str(folder) in word for word in named):
                found.append(process)
    return found


@contextlib.contextmanager
def running_studio(folder: Path, **environment: str) -> Iterator[Running]:
    studio = start(folder, **environment)
    try:
        yield studio
    finally:
        end(folder, studio.process)
