"""The answers of a suite's run as a file: CSV for a spreadsheet, JSON Lines for a program."""

import csv
import io
import json
from collections.abc import Iterator

from studio.records import SuiteRun
from studio.studio import Studio
from studio.suites.results import Cell, Line, table

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet takes a cell that begins so for a formula
NUL = "\0"


def json_lines(studio: Studio, run: SuiteRun) -> Iterator[str]:
    """One line for each prompt: id, topic, messages, expected, and each column's answer by its name and adapter."""
    for line in table(studio, run):
        about = {name: line.prompt.get(name) for name in ("id", "topic", "messages", "expected", "checks")}
        answers = [{**column, **_answer(cell)} for column, cell in zip(run.columns, line.cells, strict=True)]
        yield json.dumps({**about, "answers": answers}, ensure_ascii=False) + "\n"


def _answer(cell: Cell | None) -> dict | None:
    names = ("text", "passed", "tokens", "stopped_by", "checks", "notices", "problem", "proof")
    return {name: getattr(cell, name) for name in names} if cell else {"text": None, "passed": None}


def csv_lines(studio: Studio, run: SuiteRun) -> Iterator[str]:
    """A heading, then one row for each prompt; begins with the mark by which Excel knows UTF-8."""
    names = [f"{place + 1} {column['name']}" for place, column in enumerate(run.columns)]
    yield "\ufeff" + _row(
        [
            "id",
            "topic",
            "question",
            "expected",
            *(head for name in names for head in (name, f"{name}: passed", f"{name}: why")),
        ]
    )
    for line in table(studio, run):
        yield _row(_cells(line))


def _cells(line: Line) -> list[str]:
    prompt = line.prompt
    cells = [prompt["id"], prompt.get("topic") or "", line.question, prompt.get("expected") or ""]
    for cell in line.cells:
        if cell is None:
            cells += ["", "", ""]
            continue
        why = cell.problem or " ".join(check["said"] for check in cell.checks if not check["passed"])
        cells += [cell.text, {True: "yes", False: "no", None: ""}[cell.passed], why]
    return cells


def _row(cells: list[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([harmless(cell) for cell in cells])
    return written.getvalue()


def harmless(cell: str) -> str:
    """With an apostrophe before what a spreadsheet would compute."""
    cell = cell.replace(NUL, "")
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell
