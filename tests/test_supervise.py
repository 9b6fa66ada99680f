"""The supervisor: says who it is, keeps the log, hands on SIGTERM, and lets nothing of its tree outlive it. Real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.logfile import LogFile
from jobs.processes import ATTEMPT_MARK, Identity, marked, write_once
from studio.files import read_json, write_json
from studio.folders import AttemptFolder

PROJECT = Path(__file__).parents[1]
PATIENCE = 60  # seconds on a busy machine until something must have happened


@pytest.fixture
def attempt(tmp_path):
    folder = AttemptFolder(tmp_path / "attempt-1").create()
    yield folder
    for process in marked(folder.path):
        process.signal(signal.SIGKILL)


def supervise(attempt, code, *options):
    """The supervisor, over a Python program."""
    environment = {**os.environ, ATTEMPT_MARK: str(attempt.path.resolve())}
    command = [sys.executable, "-m", "jobs.supervise", str(attempt.path), *options, "--", sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=PROJECT, env=environment, start_new_session=True)


def eventually(seen, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := seen():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not seen in {PATIENCE} s: {what}")


def says(attempt, word):
    return eventually(lambda: attempt.log.exists() and word in attempt.log.read_text(), f"'{word}' in the log")


def ask(attempt, supervisor, wanted):
    attempt.want.write_text(wanted)
    supervisor.send_signal(signal.SIGTERM)


def ended(attempt, supervisor):
    assert supervisor.wait(PATIENCE) == 0
    assert marked(attempt.path) == []
    return read_json(attempt.exit)


def test_how_the_worker_ended_and_what_it_said_is_written_down(attempt):
    found = ended(
        attempt, supervise(attempt, "import sys; print('hello'); print('oh no', file=sys.stderr); sys.exit(78)")
    )
    assert (found["code"], found["signal"], found["killed_by_us"]) == (78, None, False)
    assert sorted(attempt.log.read_text().split("\n")) == ["", "hello", "oh no"]


def test_a_killed_worker_is_told_apart_from_one_that_we_killed(attempt):
    found = ended(attempt, supervise(attempt, "import os; os.kill(os.getpid(), 9)"))
    assert (found["code"], found["signal"], found["killed_by_us"]) == (None, 9, False)


def test_the_supervisor_can_be_found_again_while_the_worker_runs(attempt):
    supervisor = supervise(attempt, "print('up', flush=True); import time; time.sleep(600)")
    says(attempt, "up")
    told = eventually(
        lambda: (found := read_json(attempt.process)) and found["worker_pid"] and found, "the worker's pid"
    )
    assert told["pid"] == supervisor.pid
    assert Identity(told["pid"], told["pid_start"], told["boot_id"]).alive()
    assert not Identity(told["pid"], told["pid_start"] + 1, told["boot_id"]).alive()
    assert Identity.of(told["worker_pid"]).start == told["worker_start"]


def test_no_worker_starts_when_a_runner_has_given_the_attempt_up(attempt):
    write_json(attempt.process, {"pid": None})
    assert supervise(attempt, "print('I should not be')").wait(PATIENCE) == 3
    assert not attempt.log.exists()
    assert not attempt.exit.exists()


def test_of_two_supervisors_one_starts_the_worker(attempt):
    two = [supervise(attempt, "print('worker', flush=True); import time; time.sleep(1)") for _ in range(2)]
    assert sorted(each.wait(PATIENCE) for each in two) == [0, 3]
    assert attempt.log.read_text().count("worker") == 1


def test_a_file_is_written_once_whoever_comes_second(tmp_path):
    assert write_once(tmp_path / "process.json", {"pid": 1})
    assert not write_once(tmp_path / "process.json", {"pid": 2})
    assert read_json(tmp_path / "process.json") == {"pid": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["process.json"]


SAVES = """
import signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print('up', flush=True)
while not asked: time.sleep(0.01)
time.sleep({seconds})
print('saved', flush=True)
sys.exit(75)
"""


def test_a_worker_that_pauses_may_take_longer_than_the_grace(attempt):
    supervisor = supervise(attempt, SAVES.format(seconds=1.5), "--grace", "0.2")
    says(attempt, "up")
    ask(attempt, supervisor, "pause")
    assert ended(attempt, supervisor)["code"] == 75
    assert "saved" in attempt.log.read_text()


def test_a_worker_that_is_deaf_to_a_cancel_is_killed_after_the_grace(attempt):
    supervisor = supervise(
        attempt,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
        "--grace",
        "0.2",
    )
    says(attempt, "up")
    ask(attempt, supervisor, "cancel")
    found = ended(attempt, supervisor)
    assert (found["signal"], found["killed_by_us"]) == (9, True)


def test_a_cancel_after_a_pause_is_obeyed(attempt):
    supervisor = supervise(attempt, SAVES.format(seconds=600), "--grace", "0.2")
    says(attempt, "up")
    ask(attempt, supervisor, "pause")
    time.sleep(0.3)
    assert supervisor.poll() is None
    ask(attempt, supervisor, "cancel")
    assert ended(attempt, supervisor)["killed_by_us"]


ESCAPES = """
import os, subprocess, sys, time
child = "import os, signal, time; os.setsid(); signal.signal(15, signal.SIG_IGN); print('escaped', flush=True); time.sleep(600)"
middle = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])"
subprocess.run([sys.executable, '-c', middle])
while True: time.sleep(1)
"""


def test_a_grandchild_that_left_the_session_does_not_outlive_a_cancel(attempt):
    supervisor = supervise(attempt, ESCAPES, "--grace", "0.2")
    says(attempt, "escaped")
    assert len(marked(attempt.path)) == 3
    ask(attempt, supervisor, "cancel")
    ended(attempt, supervisor)


def test_what_a_finished_worker_leaves_behind_is_swept_away(attempt):
    left = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(600)'])"
    assert ended(attempt, supervise(attempt, left))["code"] == 0


LAUNCHES = """
import subprocess, sys, time
print('launching', flush=True)
sys.exit(subprocess.call([sys.executable, '-c', {worker!r}]) and 1)
"""


def test_signals_pass_a_launcher_by_and_reach_its_workers(attempt):
    supervisor = supervise(attempt, LAUNCHES.format(worker=SAVES.format(seconds=0)), "--launcher")
    says(attempt, "up")
    ask(attempt, supervisor, "stop")
    assert ended(attempt, supervisor)["code"] == 1
    assert "saved" in attempt.log.read_text()


def test_a_program_that_does_not_exist_ends_like_one_that_failed(attempt):
    command = [sys.executable, "-m", "jobs.supervise", str(attempt.path), "--", "/no/such/program"]
    assert subprocess.run(command, cwd=PROJECT, check=False).returncode == 0
    assert read_json(attempt.exit)["code"] == 127
    assert "No such file" in attempt.log.read_text()


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path):
    with LogFile(tmp_path / "log.txt", kept=100, end=50) as log:
        for number in range(1000):
            log.write(f"line {number:04}\n")
    text = (tmp_path / "log.txt").read_text()
    assert text.startswith("line 0000\nline 0001\n")
    assert text.endswith("line 0998\nline 0999\n")
    assert "9,850 bytes of the log are left out here" in text
    assert len(text) < 250


def test_the_worker_gets_none_of_our_secrets(attempt, monkeypatch):
    from jobs.gpus import FoundDevice
    from jobs.launchers import inline, local

    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("STUDIO_DATABASE_URL", "secret")
    for launcher in (inline, local):
        given = launcher.command(attempt, [FoundDevice("cpu", "CPU", 0)], 1).environment
        assert "secret" not in json.dumps(given)
        assert given["HF_HUB_OFFLINE"] == "1"
