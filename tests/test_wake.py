"""What a person wants is looked at at once: the runner sleeps at a pipe that queueing and steering write to."""

import os
import signal
import threading
import time

from jobs.signals import Signals
from jobs.warm import QUIET_SECONDS, Warm
from studio.wake import wake_runner, wake_up_call


def test_a_call_ends_the_runners_sleep_without_ending_the_runner(studio):
    signals = Signals(signal.SIGUSR1)
    signals.listen_to(wake_up_call(studio.data))
    threading.Timer(0.1, wake_runner, [studio.data]).start()
    began = time.monotonic()
    assert signals.wait(30) == set()
    assert time.monotonic() - began < 20
    assert signals.wait(0.01) == set(), "the call is heard once"


def test_nobody_need_be_there_to_hear_it(studio):
    wake_runner(studio.data)
    os.close(wake_up_call(studio.data))
    wake_runner(studio.data)


def test_callers_never_wait(studio):
    call = wake_up_call(studio.data)
    for _ in range(70_000):  # more than a pipe holds
        wake_runner(studio.data)
    os.close(call)


def test_the_libraries_are_loaded_only_while_a_device_is_free_and_a_run_may_come(studio, monkeypatch):
    now, started = [0.0], []
    warm = Warm(studio.data, threads=1, idle_seconds=60, clock=lambda: now[0])
    monkeypatch.setattr(warm, "start", lambda: started.append(now[0]))
    monkeypatch.setattr("jobs.warm.NEEDED_MEMORY", 0)
    warm.tick()
    now[0] = QUIET_SECONDS + 1
    warm.tick(busy=True)
    assert started == [], "who starts the studio has the processor first, and so has a run"
    monkeypatch.setattr("jobs.warm.NEEDED_MEMORY", 2**60)
    warm.tick()
    assert started == [], "memory is scarce"
    monkeypatch.setattr("jobs.warm.NEEDED_MEMORY", 0)
    warm.tick()
    assert started == [now[0]]
    assert warm.supervise(studio.data.path, ["python"], {}) is None, "it is not there: the run starts cold"
