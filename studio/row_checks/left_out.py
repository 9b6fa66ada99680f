"""The rows that could not be used, kept beside those that can, each with its reason: nothing that was brought is lost unseen."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, TextIO

from pydantic import BaseModel

from studio.folders import DatasetFolder
from studio.formats import RowFault


class LeftOut(BaseModel):
    """A row of the upload that is not among the usable ones."""

    row: int
    line: int | None = None
    kind: str
    problem: str
    fix: str
    field: str | None = None
    value: dict[str, Any] | None = None
    """The row as it was brought; None where it could not be read at all."""


class LeftOutWriter:
    """Writes left_out.jsonl, which is there only where a row was left out; with no folder it writes nothing."""

    def __init__(self, folder: DatasetFolder | None):
        self._folder = folder
        self._file: TextIO | None = None
        self.rows = 0

    def add(self, row: int, line: int | None, value: dict[str, Any] | None, fault: RowFault) -> None:
        said = LeftOut(
            row=row, line=line, kind=fault.kind, problem=fault.problem, fix=fault.fix, field=fault.field, value=value
        )
        self.keep(said)

    def keep(self, said: LeftOut) -> None:
        self.rows += 1
        if self._folder is None:
            return
        if self._file is None:
            self._file = open(self._folder.left_out, "w", encoding="utf-8")  # noqa: SIM115 closed in finish()
        # default=str: a table of Parquet may hold dates and numbers that JSON has no word for
        self._file.write(json.dumps(said.model_dump(), default=str) + "\n")

    def finish(self) -> int:
        """How many there are."""
        if self._file is not None:
            self._file.close()
        return self.rows


def left_out_of(folder: DatasetFolder, start: int = 0, count: int | None = None) -> Iterator[LeftOut]:
    """The rows that were left out of this version, in the order of the upload."""
    try:
        with open(folder.left_out, encoding="utf-8") as file:
            for line in islice(file, start, None if count is None else start + count):
                yield LeftOut.model_validate_json(line)
    except FileNotFoundError:
        return
