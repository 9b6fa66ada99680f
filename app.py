"""Start the studio: settings, database, web app, and (unless --no-runner) the runner process. `python app.py --help` explains every option."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from studio.errors import Invalid, StudioError
from studio.settings import StudioSettings, read_settings

PROJECT = Path(__file__).parent
log = logging.getLogger("studio")


def main(arguments: list[str], runner: str = "jobs.runner") -> int:
    """`runner`: the module that is run beside the web app."""
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
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    os.environ["GRADIO_TEMP_DIR"] = str(settings.root / "incoming")

    from studio import chat
    from studio.studio import Studio  # here: `--help` and a wrong option answer at once
    from studio.web import add_what_comes_with_it, build_app

    studio = Studio.open(settings)
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
