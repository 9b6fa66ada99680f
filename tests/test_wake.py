"""What a person wants is looked at at once: the runner sleeps at a pipe that queueing and steering write to."""

import os
import signal
import threading
import time

from jobs.signals import Signals
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
