"""Signals as something to wait for: no handler does any work, so none can come at a bad moment."""

import contextlib
import os
import select
import signal
from typing import BinaryIO


class Signals:
    """The signals that this process listens to; `stream`, when it closes, counts as SIGTERM. For the main thread."""

    def __init__(self, *numbers: int, stream: BinaryIO | None = None):
        self.stream = stream
        self.source, target = os.pipe()
        for end in (self.source, target):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(target, warn_on_full_buffer=False)
        self.call = -1  # a descriptor on which somebody calls
        for number in numbers:
            signal.signal(number, lambda *_: None)  # not SIG_IGN, which processes that we start would inherit

    def listen_to(self, call: int) -> None:
        """Anything written there ends a wait, without a signal."""
        self.call = call

    def wait(self, seconds: float) -> set[int]:
        """Those that came, as soon as there are some, or after so many seconds none."""
        watched = [self.source, *([self.stream] if self.stream else []), *([self.call] if self.call >= 0 else [])]
        ready = select.select(watched, [], [], seconds)[0]
        came: set[int] = set()
        if self.source in ready:
            with contextlib.suppress(BlockingIOError):
                came |= set(os.read(self.source, 4096))
        if self.call in ready:
            os.read(self.call, 4096)
        if self.stream in ready and not os.read(self.stream.fileno(), 4096):
            self.stream = None
            came.add(signal.SIGTERM)
        return came
