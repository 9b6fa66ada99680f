"""A worker that was forked for its supervisor, and waits at a pipe until that has written who they are."""

import contextlib
import os
import select
import signal

READY_SECONDS = 20.0  # it has its imports done: a tenth of a second on an idle machine


class Forked:
    """What Popen is for a command: `pid`, `poll()`, `returncode`."""

    def __init__(self, pid: int, source: int, pipe: int, ready: int, go: int):
        """`source` and `pipe`: both ends of its log; `ready`: it writes there when it is; `go`: it waits there."""
        self.pid, self.log, self.ready, self.go = pid, (source, pipe), ready, go
        self.returncode: int | None = None
        for each in (source, pipe, ready, go):
            os.set_inheritable(each, False)

    @classmethod
    def read(cls, text: str) -> "Forked":
        """As the warm parent writes it: five numbers with commas between."""
        return cls(*map(int, text.split(",")))

    def is_ready(self) -> bool:
        return bool(select.select([self.ready], [], [], READY_SECONDS)[0]) and os.read(self.ready, 1) == b"1"

    def let_go(self) -> bool:
        """False when it has died meanwhile."""
        try:
            return os.write(self.go, b"1") == 1
        except BrokenPipeError:
            return False
        finally:
            os.close(self.go)

    def end(self) -> None:
        """Kill and collect it."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)  # our own child, not collected: nobody else can have its number
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError):
            os.close(self.ready)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode
