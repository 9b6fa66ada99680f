"""Questions on their way from the socket to the thread that computes; no torch, so that they can be asked while it loads."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.errors import Conflict, Invalid, StudioError, TooMany

MOST_OPEN = 64  # questions, of all people
MOST_OPEN_OF_ONE = 16  # of one person
NOT_WRITTEN = ("This answer is not being written now.", "Ask again.")


@dataclass(eq=False)
class Question:
    """What one connection asked."""

    columns: list[dict]
    """Each {"messages", "max_new_tokens", "temperature", "top_p", "seed"} with "adapter" or "mix" (see chat.py)."""
    tell: Callable[[dict], None]
    """Sends an event to whoever asked; may be called from any thread."""
    id: str = ""
    owner: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    ended_columns: set[int] = field(default_factory=set)
    stopped_columns: set[int] = field(default_factory=set)

    def end(self) -> None:
        self.tell({"end": True})
        self.ended.set()

    def fail(self, error: StudioError) -> None:
        self.tell({"error": error.as_dict() | {"status": error.status}})
        self.ended.set()

    def check_weights(self, column: int, weights: list[float]) -> None:
        """Raises Invalid or Conflict when this column's answer cannot be given these weights now."""
        mix = self.columns[column].get("mix") if column < len(self.columns) else None
        if not mix:
            raise Invalid(f"Column {column} is no mix, so it has no weights.", "Name the column of a mix.", "column")
        if len(weights) != len(mix):
            raise Invalid(
                f"The mix has {len(mix)} adapters, and {len(weights)} weights came.", "Send one for each.", "weights"
            )
        if column in self.ended_columns:
            raise Conflict(*NOT_WRITTEN)


class Inbox:
    """Questions that were asked and not yet begun, and what is wanted of those that are being answered."""

    def __init__(self):
        self.new_weights: queue.SimpleQueue[tuple[Question, int, list[float]]] = queue.SimpleQueue()
        self.stops: queue.SimpleQueue[tuple[Question, int]] = queue.SimpleQueue()
        self._questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._open: list[Question] = []
        self._last_used = time.monotonic()

    def ask(self, question: Question) -> None:
        """Raises TooMany when too many are open, of all people or of this one. Only the event loop calls this."""
        self._forget_ended()
        of_one = sum(other.owner == question.owner for other in self._open)
        if of_one >= MOST_OPEN_OF_ONE:
            raise TooMany(
                f"{of_one} of your questions are being answered already.", "Wait until one of them has ended."
            )
        if len(self._open) >= MOST_OPEN:
            raise TooMany(f"{len(self._open)} questions are being answered already.", "Ask again in a minute.")
        self._open.append(question)
        self._questions.put(question)

    def take(self, wait: bool) -> Question | None:
        """The next question. Without `wait`, None when there is none."""
        try:
            return self._questions.get(block=wait)
        except queue.Empty:
            return None

    def change_weights(self, id: str, owner: str, column: int, weights: list[float]) -> None:
        """Have a mix go on with these. Raises Conflict when this person has no such question open, else as `check_weights`."""
        question = self._open_question(id, owner)
        question.check_weights(column, weights)
        self.new_weights.put((question, column, weights))

    def stop_column(self, id: str, owner: str, column: int) -> None:
        """Have one column end where it is, while the others go on. Raises Conflict when this person has no such answer open."""
        question = self._open_question(id, owner)
        if column >= len(question.columns) or column in question.ended_columns:
            raise Conflict(*NOT_WRITTEN)
        self.stops.put((question, column))

    def _open_question(self, id: str, owner: str) -> Question:
        self._forget_ended()
        question = next((each for each in self._open if id and (each.id, each.owner) == (id, owner)), None)
        if question is None:
            raise Conflict(*NOT_WRITTEN)
        return question

    def idle_seconds(self) -> float:
        """How long no question has been open; only the event loop calls this."""
        self._forget_ended()
        if self._open:
            self._last_used = time.monotonic()
        return time.monotonic() - self._last_used if not self._open else 0.0

    def _forget_ended(self) -> None:
        if any(question.ended.is_set() for question in self._open):
            self._last_used = time.monotonic()
        self._open = [question for question in self._open if not question.ended.is_set()]

    @property
    def busy(self) -> bool:
        return any(not question.ended.is_set() for question in self._open)
