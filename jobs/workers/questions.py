"""Questions on their way from the socket to the thread that computes; no torch, so that they can be asked while it loads."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.errors import StudioError


@dataclass(eq=False)
class Question:
    """What one connection asked."""

    columns: list[dict]  # {"messages": [...], "adapter": {"id", "name"} | None}
    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    tell: Callable[[dict], None]
    """Sends an event to whoever asked; may be called from any thread."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        self.tell({"end": True})
        self.ended.set()

    def fail(self, error: StudioError) -> None:
        self.tell({"error": error.as_dict() | {"status": error.status}})
        self.ended.set()


class Inbox:
    """Questions that were asked and not yet begun."""

    def __init__(self):
        self._questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._open: list[Question] = []
        self._last_used = time.monotonic()

    def ask(self, question: Question) -> None:
        self._open.append(question)
        self._questions.put(question)

    def take(self, wait: bool) -> Question | None:
        """The next question. Without `wait`, None when there is none."""
        try:
            return self._questions.get(block=wait)
        except queue.Empty:
            return None

    def idle_seconds(self) -> float:
        """How long no question has been open; only the event loop calls this and `ask`."""
        self._open = [question for question in self._open if not question.ended.is_set()]
        if self._open:
            self._last_used = time.monotonic()
        return time.monotonic() - self._last_used if not self._open else 0.0

    @property
    def busy(self) -> bool:
        return any(not question.ended.is_set() for question in self._open)
