"""All checks of one pass over the rows, in the order of the rows, with what they found counted and written down."""

from collections import Counter
from collections.abc import Callable, Iterator

from studio.folders import DatasetFolder
from studio.formats import Found as FoundRow
from studio.row_checks.check import said_in
from studio.row_checks.findings import FindingsWriter, Found
from studio.row_checks.kinds import CHECKS
from studio.row_checks.kinds.duplicates import Copies
from studio.row_checks.kinds.languages import Languages

MOST_TURNS = 8


class Looking:
    """Give it every row once, then finish it."""

    def __init__(self, folder: DatasetFolder | None, passes: tuple[str, ...] = ("first",)):
        self.writer = FindingsWriter(folder)
        mine = [check for check in CHECKS.values() if check.when in passes]
        self.second = "second" in passes
        self._look = [check for check in mine if check.look]
        self._due: dict[tuple[frozenset[int], bool], list[tuple[str, Callable]]] = {}
        self._gather = [check.gather() for check in mine if check.gather]
        self._add = [gathering.add for gathering in self._gather]
        self._turns: Counter[int] = Counter()
        self.rows = 0

    def at(self, row: FoundRow, heldout: bool) -> bool:
        """Look at the next row; whether something was found already."""
        said, place = said_in(row, heldout), self.rows
        self.rows += 1
        self._turns[len(said.answers)] += 1
        some = False
        key = frozenset(said.marks), said.text.isascii()
        due = self._due.get(key)
        if due is None:
            due = self._due[key] = [(check.name, check.look) for check in self._look if check.may_look(*key)]
        for name, look in due:
            found = look(said)
            if found is not None:
                self.writer.add(name, place, found)
                some = True
        for add in self._add:
            add(place, said)
        return some

    def copies(self) -> Iterator[tuple[str, int, int]]:
        """Copies.pairs of the rows seen so far."""
        return next((each.pairs() for each in self._gather if isinstance(each, Copies)), iter(()))

    def finish(self, keep: Found | None = None) -> Found:
        """Everything found, in the folder. `keep`: what an earlier pass found by other checks."""
        found = Found(rows=self.rows, second_pass=self.second or bool(keep and keep.second_pass))
        for turns, count in self._turns.items():
            at = min(turns, MOST_TURNS)
            found.turns[at] = found.turns.get(at, 0) + count
        for gathering in self._gather:
            for name, place, said in sorted(gathering.findings(), key=lambda each: each[1]):
                self.writer.add(name, place, said)
            if isinstance(gathering, Languages):
                found.languages = gathering.counts
        self.writer.finish(found, keep)
        return found
