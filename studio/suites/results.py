"""What came of a suite's run: its answers by prompt and column, and in short."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from studio.files import read_json
from studio.paired import Paired
from studio.ratings import wilson
from studio.records import SuiteRun
from studio.studio import Studio

FEWEST_JUDGED = 10  # answers below which an interval would only look like knowledge


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

    def passed(self, place: int) -> bool | None:
        """Whether this column's answer passed; None where it was not judged."""
        cell = self.cells[place]
        return cell and cell.passed

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
    """{"columns": [{"judged", "passed", from ten judged answers on "low" and "high", and against the base "paired" and "lost_topics"}]}."""
    return {"columns": in_short(table(studio, run), base_place(run.columns))}


def base_place(columns: list[dict[str, Any]]) -> int | None:
    """Which column is the base; None where it does not answer."""
    return next((place for place, column in enumerate(columns) if is_base(column)), None)


def is_base(column: dict[str, Any]) -> bool:
    return not any(column.get(name) for name in ("adapter", "mix", "checkpoint"))


def in_short(lines: list[Line], base: int | None) -> list[dict[str, Any]]:
    """Of each column: answers that were judged and that passed, with Wilson's interval where they are not too few; and how it stands against the base."""
    told = []
    for place in range(len(lines[0].cells) if lines else 0):
        judged = [passed for line in lines if (passed := line.passed(place)) is not None]
        column: dict[str, Any] = {"judged": len(judged), "passed": sum(judged)}
        if len(judged) >= FEWEST_JUDGED:
            column["low"], column["high"] = wilson(sum(judged), len(judged))
        if base is not None and place != base:
            column["paired"] = paired(lines, base, place).as_dict()
            lost = (
                line.prompt.get("topic") or "" for line in lines if line.passed(base) and line.passed(place) is False
            )
            column["lost_topics"] = dict(Counter(lost).most_common())
        told.append(column)
    return told


def paired(lines: list[Line], first: int, second: int) -> Paired:
    """Over the prompts on which both were judged."""
    counts = Counter((line.passed(first), line.passed(second)) for line in lines)
    return Paired(counts[True, True], counts[True, False], counts[False, True], counts[False, False])


def filtered(lines: list[Line], show: str, base: int | None) -> list[Line]:
    """Those that a filter of FILTERS leaves; "better" and "worse" are of any column against the base."""
    return [line for line in lines if FILTERS.get(show, FILTERS["all"])(line, base)]


def _differs(line: Line, base: int | None) -> bool:
    texts = {cell.text.strip() for cell in line.cells if cell}
    return len(texts) > 1


def _moved(line: Line, base: int | None, from_: bool) -> bool:
    others = (line.passed(place) for place in range(len(line.cells)) if place != base)
    return base is not None and line.passed(base) is from_ and any(passed is (not from_) for passed in others)


FILTERS: dict[str, Callable[[Line, int | None], bool]] = {
    "all": lambda line, base: True,
    "failures": lambda line, base: any(line.passed(place) is False for place in range(len(line.cells))),
    "differ": _differs,
    "better": lambda line, base: _moved(line, base, False),
    "worse": lambda line, base: _moved(line, base, True),
}
