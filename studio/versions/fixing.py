"""The fixes of a version while its rows are rewritten: which rows each names, what it makes of them, and how many it was."""

from collections.abc import Iterator, Sequence

from studio.dataset_report import Applied, Report
from studio.folders import DatasetFolder
from studio.formats import FORMATS, Found
from studio.row_checks.findings import findings_of
from studio.row_checks.kinds import CHECKS
from studio.row_checks.left_out import LeftOut, LeftOutWriter, left_out_of
from studio.row_checks.mending import mended
from studio.row_checks.ordering import brought_in_order
from studio.versions.edits import LEFT_OUT, Fix


class Fixing:
    """A fix touches the rows that its findings name, and no other."""

    def __init__(self, parent: DatasetFolder, fixes: Sequence[Fix]):
        self.parent = parent
        self.wanted = list(dict.fromkeys(fix.check for fix in fixes))
        self.places = {check: _places(parent, check, fixes) for check in self.wanted if check != LEFT_OUT}
        self._applied = {check: Applied(check=check) for check in self.wanted}

    @property
    def applied(self) -> list[Applied]:
        """What was done to how many rows, in the order in which it was asked for."""
        return [done for done in self._applied.values() if done.mended or done.dropped or done.added]

    def fixed(self, place: int, row: Found, by_hand: bool) -> Found | None:
        """The row as it shall be; None when a fix drops it. A row that was written by hand is mended and never dropped."""
        for check, places in self.places.items():
            if place not in places or (by_hand and CHECKS[check].drops):
                continue
            now = mended(row, check)
            if now is None:
                self._applied[check].dropped += 1
                return None
            self._applied[check].mended += now.fields != row.fields
            row = now
        return row

    def brought_back(self, still: LeftOutWriter, report: Report) -> Iterator[tuple[LeftOut, Found]]:
        """Rows that had been left out and can be used once their messages are put in order; the others stay left out."""
        format = FORMATS.get(report.format or "") if LEFT_OUT in self.wanted else None
        for left in left_out_of(self.parent):
            found = brought_in_order(left.value, format, report.mapping) if format else None
            if found is None:
                still.keep(left)
            else:
                self._applied[LEFT_OUT].added += 1
                yield left, found


def _places(parent: DatasetFolder, check: str, fixes: Sequence[Fix]) -> set[int]:
    """Places (from 0) of the rows that are named, one by one or as all that have the finding."""
    named = {fix.place for fix in fixes if fix.check == check}
    found = {place for place, _ in findings_of(parent, check)}
    return found if None in named else found & named
