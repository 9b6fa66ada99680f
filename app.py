"""Start the studio: settings, database, web app, and (unless --no-runner) the runner process. `python app.py --help` explains every option.

`python app.py doctor` looks over the data folder and mends it instead.
"""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from studio.errors import Conflict, Invalid, StudioError
from studio.folders import DataFolder
from studio.logs import keep_log
from studio.settings import StudioSettings, read_settings

PROJECT = Path(__file__).parent
log = logging.getLogger("studio")


def main(arguments: list[str], runner: str = "jobs.runner") -> int:
    """`runner`: the module that is run beside the web app."""
    if arguments[:1] == ["doctor"]:
        from jobs.checkup.command import main as doctor

        return doctor(arguments[1:])
    try:
        settings = read_settings(arguments)
        listening = listen(settings)
        serve(settings, listening, runner)
    except StudioError as error:
        print(f"{error.problem}\n{error.fix}", file=sys.stderr)
        return 2
    return 0


def listen(settings: StudioSettings) -> socket.socket:
    """Take the port before anything else is started. Raises Invalid when somebody has it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        raise Invalid(
            f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}.",
            "End the other program, or choose another with --port.",
            "port",
        ) from None
    return listening


def serve(settings: StudioSettings, listening: socket.socket, runner_module: str) -> None:
    os.umask(0o077)  # data sets and adapters are nobody else's
    keep_log(settings, "studio")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    os.environ["GRADIO_TEMP_DIR"] = str(settings.root / "incoming")

    from studio import chat
    from studio.studio import Studio  # here: `--help` and a wrong option answer at once
    from studio.web import add_what_comes_with_it, build_app

    studio = Studio.open(settings)
    held = hold_folder(studio.data)  # until we end
    add_what_comes_with_it(studio)
    app = build_app(studio)
    runner = Runner(settings, runner_module) if settings.runner else None
    try:
        run_web(app, settings, listening)
    finally:
        if runner:
            runner.stop()
        chat.stop_worker(studio)  # it only answers pages, and would hold its memory until it is idle long enough
        studio.database.close()
        held.close()


def hold_folder(data: DataFolder) -> IO[bytes]:
    """Say that a web app serves this data folder. Raises Conflict while the doctor works on it."""
    lock = open(data.web_lock, "ab")  # noqa: SIM115 - it is held for as long as we live
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Conflict(
            f"The doctor works on the data folder {data.path}.", "Start the studio when it is done."
        ) from None
    return lock


def run_web(app, settings: StudioSettings, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            print(
                f"LoRA Studio is ready at http://{host}:{listening.getsockname()[1]}  (Ctrl-C ends it; trainings go on)",
                flush=True,
            )

    # a live page holds a stream open; it is not waited for
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
    )
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listening])


class Runner:
    """The job runner as a process of its own, started again when it dies. Trainings are not its children's concern: they go on without it."""

    def __init__(self, settings: StudioSettings, module: str):
        self._module = module
        self._environment = {**os.environ, **settings.as_environment(), "PYTHONUNBUFFERED": "1"}
        self._stopping = threading.Event()
        self._process = self._start()
        threading.Thread(target=self._keep, name="keeps the runner", daemon=True).start()

    def _start(self) -> subprocess.Popen:
        # Its standard input is a pipe that closes when we die, however that happens: then it ends too.
        # A session of its own: Ctrl-C in the terminal is for us, and we end it in order.
        return subprocess.Popen(
            [sys.executable, "-m", self._module, "--until-stdin-closes"],
            cwd=PROJECT,
            env=self._environment,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _keep(self) -> None:
        while not self._stopping.is_set():
            code = self._process.wait()
            if self._stopping.wait(2):
                return
            log.warning("The runner ended with code %s; starting it again. Trainings that run are found again.", code)
            self._process = self._start()

    def stop(self) -> None:
        self._stopping.set()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
