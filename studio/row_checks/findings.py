"""What the checks found in a version's rows, on disk beside them: a file for each kind, and their counts."""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel, Field

from studio.files import read_json, write_json
from studio.folders import DatasetFolder

MADE = 1  # raised with what is looked for, so that rows checked before are checked anew


class Found(BaseModel):
    """How many rows have each kind of finding; of rows that nobody has checked there is none."""

    made: int = MADE
    rows: int
    counts: dict[str, int] = Field(default_factory=dict)
    turns: dict[int, int] = Field(default_factory=dict)
    """Rows by their number of answers; under the last number all that have more."""
    languages: dict[str, int] = Field(default_factory=dict)
    """Rows by the language of their answer; counted in the second pass."""
    second_pass: bool = False
    """Whether the checks of the second pass have been made too."""


class FindingsWriter:
    """Takes findings in any order. With no folder they are only counted."""

    def __init__(self, folder: DatasetFolder | None):
        self.folder = folder
        self.counts: dict[str, int] = {}
        self._files: dict[str, TextIO] = {}

    def add(self, check: str, place: int, said: str) -> None:
        self.counts[check] = self.counts.get(check, 0) + 1
        if self.folder is None:
            return
        if check not in self._files:
            self.folder.findings.mkdir(exist_ok=True, mode=0o700)
            self._files[check] = open(_beside(self.folder, check), "w", encoding="utf-8")  # noqa: SIM115 closed in finish()
        self._files[check].write(json.dumps([place, said]) + "\n")

    def finish(self, found: Found, keep: Found | None = None) -> None:
        """Put everything in its place. `keep`: what was found before by other checks, whose files stay."""
        found.counts = {**(keep.counts if keep else {}), **self.counts}
        if self.folder is None:
            return
        self.folder.findings.mkdir(exist_ok=True, mode=0o700)
        for check, file in self._files.items():
            file.close()
            os.replace(_beside(self.folder, check), path_of(self.folder, check))
        write_json(self.folder.findings_summary, found.model_dump(mode="json"))


def path_of(folder: DatasetFolder, check: str) -> Path:
    return folder.findings / f"{check}.jsonl"


def _beside(folder: DatasetFolder, check: str) -> Path:
    return folder.findings / f".{check}.jsonl"


def found_in(folder: DatasetFolder) -> Found | None:
    """None where the rows have not been checked, or by checks of another version of the studio."""
    kept = read_json(folder.findings_summary)
    return Found.model_validate(kept) if kept and kept.get("made") == MADE else None


def findings_of(
    folder: DatasetFolder, check: str, start: int = 0, count: int | None = None
) -> Iterator[tuple[int, str]]:
    """(place from 0, what is said of it) of the rows with this finding, from the `start`th on."""
    try:
        with open(path_of(folder, check), encoding="utf-8") as file:
            for line in islice(file, start, None if count is None else start + count):
                place, said = json.loads(line)
                yield place, said
    except FileNotFoundError:
        return


def places_of(folder: DatasetFolder, check: str, start: int = 0) -> Iterator[int]:
    """Places from `start` on, ascending and each once, of the rows with this finding; what is said of them is not read."""
    last = start - 1
    try:
        with open(path_of(folder, check), encoding="utf-8") as file:
            for line in file:
                place = int(line[1 : line.index(",")])
                if place > last:
                    last = place
                    yield place
    except FileNotFoundError:
        return
