"""The line of questions that wait for a place in the batch: whose answer begins next, and how long the line is before each."""

from collections.abc import Iterable

from jobs.workers.questions import Question


class Line:
    """Open questions whose answers have not all begun, in the order in which they were asked.

    The next place is for whom the fewest answers are being written, so nobody's many questions keep another's one
    waiting; among equals it goes by who asked first.
    """

    def __init__(self):
        self._questions: list[Question] = []
        self._told: dict[Question, tuple[int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._questions)

    def __iter__(self):
        return iter(self._questions)

    def add(self, question: Question) -> None:
        self._questions.append(question)

    def remove(self, question: Question) -> None:
        self._questions.remove(question)
        self._told.pop(question, None)

    def next(self, writing: Iterable[Question]) -> Question | None:
        """The question to which the next place in the batch belongs; `writing` names one for each answer that is being written."""
        return _next(self._questions, _by_owner(writing))

    def cancelled(self) -> list[Question]:
        return [question for question in self._questions if question.cancelled.is_set()]

    def tell_positions(self, writing: Iterable[Question]) -> None:
        """Tell each question of which nothing is written where it stands, when that has changed."""
        writing = list(writing)
        waiting = [question for question in self._order(writing) if question not in writing]
        for place, question in enumerate(waiting, 1):
            if self._told.get(question) == (place, len(waiting)):
                continue
            if question not in self._told:
                question.tell(
                    {"notice": f"Many answers are being written; this one waits for its turn, {nth(place)} in line."}
                )
            self._told[question] = (place, len(waiting))
            question.tell({"position": place, "waiting": len(waiting)})

    def _order(self, writing: list[Question]) -> list[Question]:
        """The order in which they would begin if every answer took as long."""
        rows, left, order = _by_owner(writing), list(self._questions), []
        while left:
            question = _next(left, rows)
            left.remove(question)
            order.append(question)
            rows[question.owner] = rows.get(question.owner, 0) + len(question.columns)
        return order


def _next(questions: list[Question], rows: dict[str, int]) -> Question | None:
    return min(questions, key=lambda question: rows.get(question.owner, 0), default=None)  # the first of equals


def _by_owner(writing: Iterable[Question]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for question in writing:
        rows[question.owner] = rows.get(question.owner, 0) + 1
    return rows


def nth(place: int) -> str:
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
