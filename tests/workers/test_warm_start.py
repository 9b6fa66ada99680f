"""Workers that the warm parent forks: the same training as a cold start gives, under the same supervisor. Real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jobs.gpus import FoundDevice
from jobs.launchers import LAUNCHERS
from jobs.launchers.launcher import python
from jobs.processes import Identity, marked
from jobs.warm import Supervisor, Warm
from jobs.workers import warm_parent
from studio.files import read_json, write_json
from studio.folders import AdapterFolder, AttemptFolder
from tests.test_supervise import eventually
from tests.workers.training_place import TrainingPlace, lines, training_place

pytestmark = pytest.mark.training
PROJECT = Path(__file__).parents[2]
CPU = FoundDevice("cpu", "CPU", 0, "")
LONG = {"max_steps": 4000, "epochs": 1000.0, "evaluate_every": 4000, "checkpoint_every": 4000}


@pytest.fixture(scope="module")
def house(tmp_path_factory, tiny_base):
    made = training_place(tmp_path_factory.mktemp("warm"), tiny_base)
    yield made
    made.close()
    for attempt in made.data.path.glob("runs/*/attempt-*"):
        for process in marked(attempt):
            process.signal(signal.SIGKILL)


@pytest.fixture(scope="module")
def parent(house):
    made = started(house)
    yield made
    made.close()


def started(house: TrainingPlace) -> Warm:
    made = Warm(house.data, threads=1, idle_seconds=600)
    made.start()
    eventually(lambda: made.tick() or made.ready, "the warm parent is ready")
    return made


def command(attempt: AttemptFolder, threads: int = 1, **changed) -> tuple[list[str], dict]:
    """The supervisor's whole command and environment, as jobs.watch makes them."""
    cold = LAUNCHERS["local"](attempt, [CPU], threads)
    argv = python("-m", "jobs.supervise", str(attempt.path), "--launcher", "--grace", "2", "--", *cold.argv)
    return argv, {**cold.environment, **changed}


def start_warm(parent: Warm, attempt: AttemptFolder, **options) -> Supervisor:
    supervisor = parent.supervise(attempt.path, *command(attempt, **options))
    assert supervisor, "the warm parent forked it"
    return supervisor


def start_cold(attempt: AttemptFolder) -> subprocess.Popen:
    argv, environment = command(attempt)
    return subprocess.Popen(argv, env=environment, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)


def ended(attempt: AttemptFolder) -> dict:
    """exit.json with how the worker says it ended. Nothing of the attempt lives any more."""
    found = eventually(lambda: read_json(attempt.exit), "exit.json")
    eventually(lambda: not marked(attempt.path), "the supervisor has ended too")
    return {**found, "status": read_json(attempt.result, {}).get("status")}


def steps(attempt: AttemptFolder, at_least: int) -> None:
    eventually(lambda: sum("loss" in line for line in lines(attempt.metrics)) >= at_least, f"{at_least} steps")


def losses(attempt: AttemptFolder) -> list:
    return [(line["step"], line["loss"]) for line in lines(attempt.metrics) if "loss" in line]


def worker_of(attempt: AttemptFolder) -> psutil.Process:
    return psutil.Process(read_json(attempt.process)["worker_pid"])


def ask(attempt: AttemptFolder, wanted: str) -> None:
    attempt.want.write_text(wanted)
    process = read_json(attempt.process)
    Identity(process["pid"], process["pid_start"], process["boot_id"]).signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def cold(house):
    """A cold training that was seen while it ran: (attempt, its worker's environment)."""
    attempt = house.queue("cold")
    supervisor = start_cold(attempt)
    process = eventually(lambda: read_json(attempt.process, {}).get("worker_pid"), "process.json")

    def environment():
        children = psutil.Process(process).children()
        return children and "jobs.workers.train" in children[0].cmdline() and children[0].environ()

    seen = eventually(environment, "the worker")
    supervisor.wait()
    assert ended(attempt)["code"] == 0, attempt.log.read_text()
    return attempt, seen


def test_two_runs_from_one_parent_are_bit_for_bit_the_cold_one(parent, house, cold):
    for name in ("first", "second"):
        attempt = house.queue(name)
        start_warm(parent, attempt)
        found = ended(attempt)
        log = attempt.log.read_text()
        assert (found["code"], found["status"]) == (0, "succeeded"), log
        assert "All 10 steps are done." in log, "the log is the supervisor's, to the last line"
        assert "anew" not in log
        assert losses(attempt) == losses(cold[0])
        weights = [AdapterFolder(each.adapter).weights.read_bytes() for each in (attempt, cold[0])]
        assert weights[0] == weights[1]


def test_the_worker_has_the_environment_the_files_and_the_threads_of_a_cold_one(parent, house, cold):
    attempt = house.queue("environment", training=LONG)
    start_warm(parent, attempt, threads=2)
    steps(attempt, 1)
    worker = worker_of(attempt)
    supervisor = worker.parent()
    expected = {name: value.replace("cold", "environment") for name, value in cold[1].items()}
    assert worker.environ() == {**expected, "OMP_NUM_THREADS": "2"}
    assert "2 threads" in attempt.log.read_text()
    assert os.getsid(worker.pid) == worker.pid != supervisor.pid == os.getsid(supervisor.pid)
    assert "jobs.supervise" in supervisor.cmdline(), "a small program, not a copy of the parent"
    assert {each.pid for each in marked(attempt.path)} == {worker.pid, supervisor.pid}
    open_files = [os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in (0, 1, 2)]
    assert open_files[0] == "/dev/null"
    assert open_files[1] == open_files[2] == os.readlink(f"/proc/{supervisor.pid}/fd/{log_pipe(supervisor)}")
    others = {os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{worker.pid}/fd")} - set(
        open_files
    )
    assert not [name for name in others if "pipe" in name or "socket" in name]
    ask(attempt, "cancel")
    assert ended(attempt)["status"] == "cancelled"


def log_pipe(supervisor: psutil.Process) -> str:
    """The supervisor's descriptor from which it reads the log: the only pipe that is not for its signals."""
    target = os.readlink(f"/proc/{psutil.Process(supervisor.pid).children()[0].pid}/fd/1")
    found = os.listdir(f"/proc/{supervisor.pid}/fd")
    return next(fd for fd in found if os.readlink(f"/proc/{supervisor.pid}/fd/{fd}") == target)


def test_a_warm_run_that_is_paused_and_goes_on_cold_is_the_straight_one(parent, house, cold):
    attempt = house.queue("paused", training={"batch_size": 4})
    start_warm(parent, attempt)
    steps(attempt, 2)
    ask(attempt, "pause")
    found = ended(attempt)
    if found["status"] == "paused":  # it may have been done before it was asked
        assert found["code"] == 75
        attempt = attempt.run.attempt(2).create()
        supervisor = start_cold(attempt)
        supervisor.wait()
        assert "Goes on from the checkpoint" in attempt.log.read_text()
    assert AdapterFolder(attempt.adapter).weights.read_bytes() == AdapterFolder(cold[0].adapter).weights.read_bytes()


def test_a_worker_that_does_not_listen_is_killed_with_all_of_its_tree(parent, house):
    attempt = house.queue("deaf", training=LONG)
    start_warm(parent, attempt)
    steps(attempt, 1)
    worker_of(attempt).suspend()
    ask(attempt, "cancel")
    found = ended(attempt)
    assert (found["signal"], found["killed_by_us"]) == (9, True)


def test_a_worker_whose_supervisor_was_killed_is_found_by_its_mark(parent, house):
    attempt = house.queue("orphan", training=LONG)
    start_warm(parent, attempt)
    steps(attempt, 1)
    worker = worker_of(attempt)
    worker.parent().kill()
    eventually(lambda: [each.pid for each in marked(attempt.path)] == [worker.pid], "the worker alone")
    worker.kill()
    eventually(lambda: not marked(attempt.path), "nothing")


def test_where_the_fork_cannot_be_prepared_the_worker_is_started_cold(parent, house):
    attempt = house.queue("fallback")
    argv, environment = command(attempt)
    del environment["OMP_NUM_THREADS"]
    argv[argv.index("--mixed_precision") + 1] = "odd"  # accelerate refuses it: so will the cold start
    assert parent.supervise(attempt.path, argv, environment)
    found = ended(attempt)
    assert "The warm start did not work; the worker is started anew." in attempt.log.read_text()
    assert found["code"] == 2, "the cold command was run"


def test_an_attempt_that_somebody_else_has_is_left_alone(parent, house):
    attempt = house.queue("taken")
    write_json(attempt.process, {"pid": None, "at": time.time()})
    supervisor = start_warm(parent, attempt)
    eventually(lambda: supervisor.poll() is not None, "the supervisor has ended")
    eventually(lambda: not marked(attempt.path), "the worker has ended")
    assert not attempt.metrics.exists()
    assert not attempt.exit.exists()


def test_nothing_is_left_of_the_runs_before(parent):
    """Runs last among those that use the parent: no zombies, no descriptors, one thread."""
    process = psutil.Process(parent.process.pid)
    eventually(lambda: not process.children(), "no child is left")
    assert len(os.listdir(f"/proc/{process.pid}/task")) == 1
    assert len(os.listdir(f"/proc/{process.pid}/fd")) <= 6


def test_a_run_goes_on_when_the_parent_is_killed_and_the_next_one_starts_cold(parent, house):
    attempt = house.queue("survivor", training={**LONG, "max_steps": 40, "epochs": 20.0})
    start_warm(parent, attempt)
    steps(attempt, 1)
    os.kill(parent.process.pid, signal.SIGKILL)
    parent.process.wait()
    assert ended(attempt)["code"] == 0
    assert parent.supervise(house.queue("next").path, *command(house.queue("next"))) is None
    parent.tick()
    assert parent.process is None


def test_a_parent_that_could_not_be_forked_says_so_and_is_not_used(house, monkeypatch):
    """Threads at the time of the fork would be gone in the child, with whatever they held."""
    code = (
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start();"
        "from jobs.workers import warm_parent; print(warm_parent.unsafe())"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert "threads" in said


def test_the_parent_ends_with_the_runner_and_its_run_goes_on(house):
    """A runner that is killed closes the pipe, however it dies."""
    parent = started(house)
    attempt = house.queue("orphaned", training={**LONG, "max_steps": 40, "epochs": 20.0})
    start_warm(parent, attempt)
    steps(attempt, 1)
    parent.process.stdin.close()
    assert parent.process.wait(60) == 0
    assert ended(attempt)["code"] == 0
    parent.process.stdout.close()


def test_a_parent_that_nobody_asks_for_long_ends():
    source, target = os.pipe()
    os.write(target, b"one\ntwo\nhal")
    assert list(warm_parent.lines(source, 0.05)) == [b"one", b"two"]
    os.close(source)
    os.close(target)
