"""A process that has a worker's imports done and forks for each attempt: `python -m jobs.workers.warm_parent`, started by the runner.

    runner ── one line of JSON ──▶ warm parent ── fork ──▶ supervisor-to-be ── exec ──▶ jobs.supervise
                                                                └─ fork ──▶ the worker, imports done

The process between forks the worker and then becomes the supervisor by exec, which keeps its number and its child: so
the supervisor is the same small program as ever, the worker is its own child, and neither needs us or the runner. The
worker waits at a pipe until the supervisor has written who they are. We run no torch operation, have one thread and
never touch CUDA: a fork of anything else is not safe. Whatever goes wrong, the supervisor starts its command cold.
"""

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import select
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).parents[2]
LIBRARIES = (
    "accelerate.commands.launch",
    "transformers.models.auto.modeling_auto",
    "transformers.generation",
    "transformers.masking_utils",
    "torch.utils.checkpoint",
)
WORKER = ("peft", "jobs.workers.train")
MOST_MODELS = 8  # architectures whose classes are imported


@dataclass(frozen=True)
class Request:
    attempt: str
    supervisor: list[str]
    """The supervisor's whole command, which ends with "--" and the command that starts the worker cold."""
    environment: dict[str, str]

    @property
    def cold(self) -> list[str]:
        return self.supervisor[self.supervisor.index("--") + 1 :]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m jobs.workers.warm_parent", description=__doc__.partition("\n")[0])
    parser.add_argument("--idle", type=float, default=3600.0, help="seconds without a request after which it ends")
    parser.add_argument("--gpu", action="store_true", help="the workers will use a GPU")
    parser.add_argument("--models", type=Path, help="folder of base models, whose architectures are imported")
    options = parser.parse_args(arguments)
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    load(options.models, options.gpu)
    problem = unsafe()
    answer(answers, problem=problem) if problem else answer(answers, ready=os.getpid())
    if problem:
        return 1
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it marks
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies; set back in each child
    for line in lines(0, options.idle):
        try:
            answer(answers, pid=fork_supervisor(Request(**json.loads(line))))
        except OSError as error:
            answer(answers, problem=f"it cannot be forked: {error}")
    return 0


def load(models: Path | None, gpu: bool) -> None:
    # peft imports bitsandbytes where it is, and that asks a GPU what it can do: its context would not survive the fork
    worker = () if gpu and importlib.util.find_spec("bitsandbytes") else WORKER
    for name in ("jobs.workers.load", *LIBRARIES, *worker):  # load.py first: it sets what transformers reads
        importlib.import_module(name)
    for kind in model_types(models):
        with contextlib.suppress(Exception):  # a model of an architecture that is not known: its run says so
            import_model(kind)


def model_types(models: Path | None) -> list[str]:
    """Architectures of the newest base models that are here."""
    found = sorted(models.glob("*/model/config.json"), key=lambda path: -path.stat().st_mtime) if models else []
    kinds = []
    for path in found:
        with contextlib.suppress(OSError, ValueError):
            kinds.append(json.loads(path.read_text(encoding="utf-8")).get("model_type"))
    return [kind for kind in dict.fromkeys(kinds) if isinstance(kind, str)][:MOST_MODELS]


def import_model(kind: str) -> None:
    """The module of its class; nothing is made."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    MODEL_FOR_CAUSAL_LM_MAPPING[type(AutoConfig.for_model(kind))]


def unsafe() -> str | None:
    """Why this process must not be forked, or None."""
    import torch

    if (count := len(os.listdir("/proc/self/task"))) > 1 or threading.active_count() > 1:
        return f"the libraries have started {count - 1} threads"
    if torch.cuda.is_initialized():
        return "a library has initialised CUDA"
    return None


def answer(target: int, **values) -> None:
    with contextlib.suppress(BrokenPipeError):  # the runner is gone: the next read says so
        os.write(target, json.dumps(values).encode() + b"\n")


def lines(source: int, idle_seconds: float):
    """What comes on a pipe, line by line, until it closes or nothing has come for so long."""
    kept = b""
    while select.select([source], [], [], idle_seconds)[0]:
        data = os.read(source, 65536)
        if not data:
            return
        *whole, kept = (kept + data).split(b"\n")
        yield from whole


def fork_supervisor(request: Request) -> int:
    """Returns the number of the supervisor-to-be. Raises OSError."""
    pid = os.fork()
    if pid:
        return pid
    try:
        become_supervisor(request)
    except BaseException:
        traceback.print_exc()
    os._exit(127)


def become_supervisor(request: Request) -> None:
    os.setsid()
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    said = os.open(Path(request.attempt) / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    stand_on(os.open(os.devnull, os.O_RDWR), said, said)
    source, pipe = os.pipe()  # the log
    is_ready, say_ready = os.pipe()
    may_go, let_go = os.pipe()
    worker = os.fork()
    if not worker:
        become_worker(request, pipe, say_ready, may_go)
    kept = (source, pipe, is_ready, let_go)
    close_all_but(kept)
    for each in kept:
        os.set_inheritable(each, True)
    own, cold = request.supervisor[: -len(request.cold) - 1], request.cold
    forked = ",".join(map(str, (worker, *kept)))
    os.chdir(PROJECT)
    os.execve(own[0], [*own, "--forked", forked, "--", *cold], request.environment)


def become_worker(request: Request, pipe: int, say_ready: int, may_go: int) -> NoReturn:
    """The worker of the attempt, as if it had been started by the cold command."""
    code = 1
    try:
        os.setsid()
        stand_on(0, pipe, pipe)
        close_all_but((say_ready, may_go))
        os.umask(0o077)
        os.chdir(PROJECT)
        prepare(request)
        os.write(say_ready, b"1")
        os.close(say_ready)
        if os.read(may_go, 1) == b"1":  # else the supervisor has ended, or somebody else has the attempt
            os.close(may_go)
            code = work(request.attempt)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def prepare(request: Request) -> None:
    """Environment and threads of this attempt. Raises RuntimeError where only a fresh process can have them."""
    import torch

    from jobs.processes import show_environment

    os.environ.clear()
    os.environ.update(request.environment)
    os.environ.update(as_launched(request.cold))
    show_environment(dict(os.environ))
    if torch.cuda._is_in_bad_fork():
        raise RuntimeError("CUDA was initialised before the fork")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def as_launched(cold: list[str]) -> dict[str, str]:
    """The environment that `accelerate launch` gives its worker, from its own code. Raises RuntimeError for more than one process."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    chosen, _, _ = _validate_launch_command(launch_command_parser().parse_args(cold[3:]))
    if chosen.num_processes != 1 or chosen.multi_gpu:
        raise RuntimeError("more than one process is started cold")
    command, environment = prepare_simple_launcher_cmd_env(chosen)
    if command[1:3] != ["-m", "jobs.workers.train"]:
        raise RuntimeError(f"accelerate would start {command}")
    return environment


def work(attempt: str) -> int:
    from jobs.workers import train

    sys.argv = ["jobs/workers/train.py", attempt]
    try:
        return train.main(attempt)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1


def stand_on(*descriptors: int) -> None:
    """These as standard input, output and error."""
    for number, descriptor in enumerate(descriptors):
        if descriptor != number:
            os.dup2(descriptor, number)


def close_all_but(kept: tuple[int, ...]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(int(name))


if __name__ == "__main__":
    sys.exit(main())
