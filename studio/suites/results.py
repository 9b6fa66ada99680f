"""What came of a suite's run: its answers by prompt and column, and in short."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from studio.files import read_json
from studio.records import SuiteRun
from studio.studio import Studio


@dataclass(frozen=True)
class Cell:
    """One column's answer to one prompt."""

    text: str
    passed: bool | None
    """None: nothing is expected of it."""
    tokens: int = 0
    stopped_by: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)
    """{"passed", "said"} of each check."""
    notices: list[str] = field(default_factory=list)
    problem: str = ""
    """Why there is no answer."""
    proof: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One prompt and what each column answered; None where it has not yet."""

    place: int
    prompt: dict[str, Any]
    cells: list[Cell | None]

    @property
    def question(self) -> str:
        return self.prompt["messages"][-1]["content"]


def count_answers(studio: Studio, id: str) -> int:
    return len({(each["prompt"], each["column"]) for each in answers(studio, id)})


def answers(studio: Studio, id: str) -> Iterator[dict[str, Any]]:
    """As they were written; the last line may be half of one, while it is being written."""
    try:
        with open(studio.data.suite_run(id).answers, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)
    except FileNotFoundError:
        return


def table(studio: Studio, run: SuiteRun) -> list[Line]:
    """Every prompt in the order of the suite."""
    prompts = read_json(studio.data.suite_run(run.id).request, {"prompts": []})["prompts"]
    lines = [Line(place, prompt, [None] * len(run.columns)) for place, prompt in enumerate(prompts)]
    for each in answers(studio, run.id):
        names = ("text", "passed", "tokens", "stopped_by", "checks", "notices", "problem", "proof")
        lines[each["prompt"]].cells[each["column"]] = Cell(**{name: each[name] for name in names if name in each})
    return lines


def summary(studio: Studio, run: SuiteRun) -> dict[str, Any]:
    """{"columns": [{"judged", "passed"}]}: how many answers of each column were judged, and how many passed."""
    lines = table(studio, run)
    told = []
    for place in range(len(run.columns)):
        judged = [line.cells[place] for line in lines if line.cells[place] and line.cells[place].passed is not None]
        told.append({"judged": len(judged), "passed": sum(bool(cell.passed) for cell in judged)})
    return {"columns": told}
