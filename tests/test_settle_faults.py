"""Claim and settle with a disk and a database that fail at every point in turn: the row is the old or the new one, and the next try ends it."""

import itertools

import pytest

from jobs import watch as watching
from jobs.gpus import FoundDevice
from jobs.launchers.launcher import Command
from jobs.runner import Runner
from jobs.watch import Watch
from studio import run_queue, runs, storage
from studio.adapter_files import check_adapter
from studio.adapters import adapter_of_run
from studio.files import write_json
from studio.records import LIVE, Status
from tests.faulty_storage import HOWS, failing
from tests.queueing import holders, queued, with_devices
from tests.stub_worker import save_adapter

S = Status
MOST = 80  # points at which it can fail; far more than there are


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watching, "marked", lambda _: [])


def trained(studio, runner="first"):
    """A run whose training has just ended well."""
    run, _ = run_queue.claim_next(studio, runner, ["cpu"])
    attempt = studio.data.run(run.id).attempt(run.attempt_epoch).create()
    save_adapter(attempt)
    write_json(attempt.result, {"status": "succeeded", "step": 5})
    write_json(attempt.process, {"pid": 1, "pid_start": 1.0, "boot_id": "boot"})
    write_json(attempt.exit, {"code": 0, "signal": None})
    return run_queue.mark_running(studio, run, 1, 1.0, "boot")


def whole(studio, id) -> Status:
    """The run's state, once it is sure that everything else says the same."""
    run, adapter = runs.get_run(studio, id), adapter_of_run(studio, id)
    told = runs.events(studio, id)
    assert [event.from_state for event in told] == [None, *[event.to_state for event in told[:-1]]]
    assert told[-1].to_state == run.state
    assert (holders(studio)["cpu"] == id) == (run.state in LIVE)
    assert (adapter is not None) == (run.state is S.SUCCEEDED)
    if adapter:
        check_adapter(studio.data.adapter(id))
    return run.state


@pytest.mark.parametrize("how", HOWS)
def test_a_settle_that_fails_at_any_point_is_done_or_not_done_and_the_next_one_ends_it(studio, monkeypatch, how):
    with_devices(studio, "cpu")
    for nth in itertools.count(1):
        queued(studio)
        run = trained(studio)
        with failing(monkeypatch, nth, how, studio.database) as fault:
            Watch(studio, run).look(run)
        if whole(studio, run.id) is S.RUNNING:
            assert Watch(studio, run).look(runs.get_run(studio, run.id))  # as the runner does, or the one after it
        assert whole(studio, run.id) is S.SUCCEEDED
        assert [path.name for path in studio.data.adapter(run.id).path.parent.glob(f".{run.id}*")] == []
        if not fault.met:
            break
        assert nth < MOST
    assert nth > 15  # files, folder, passport, statements: all of them were reached


@pytest.mark.parametrize("how", HOWS)
def test_a_claim_that_fails_at_any_point_loses_no_run_and_starts_it_once(studio, monkeypatch, how):
    with_devices(studio, "cpu")
    started = []
    monkeypatch.setattr(watching.subprocess, "Popen", lambda *_, **__: started.append(1) or Ended())
    for nth in itertools.count(1):
        run, before = queued(studio, oom_retries=1), len(started)
        runner = Runner(studio, [FoundDevice("cpu", "CPU", 0)], lambda *_: Command(["true"], {}, launcher=False))
        with failing(monkeypatch, nth, how, studio.database) as fault:
            runner.claim()
        state = whole(studio, run.id)
        assert len(started) - before <= 1
        assert state is not S.FAILED or how != "full"
        if state is S.STARTING:  # the next runner finds out whether its process has started
            after = Runner(studio, [FoundDevice("cpu", "CPU", 0)], lambda *_: Command(["true"], {}, launcher=False))
            run_queue.adopt(studio, after.id)
            after.look_at_runs()
        assert whole(studio, run.id) in (S.QUEUED, S.PAUSED, S.RETRY_WAIT)
        assert runs.get_run(studio, run.id).attempt == (1 if how == "broken" and state is S.RETRY_WAIT else 0)
        runs.cancel_run(studio, run.id)
        if not fault.met:
            break
        assert nth < MOST


class Ended:
    """A process that has never said who it is."""

    def poll(self):
        return 0


def test_a_file_that_could_not_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path, monkeypatch):
    file = tmp_path / "said.json"
    write_json(file, {"old": 1})
    for nth in (1, 2, 3):
        with failing(monkeypatch, nth, "full"):
            write_json(file, {"new": 2})
        assert file.read_text() == '{\n "old": 1\n}'
        assert [path.name for path in tmp_path.iterdir()] == ["said.json"]
    storage.sync(file)
