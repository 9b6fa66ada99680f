"""Who answers in which column, as the person has put it together. It travels in the page, so it is checked when it comes back.

Who answers is written the same way in the page and in its address: `base`, an adapter's id, `ID*0.7 ID*-0.3` for a mix,
`RUN@200` for a checkpoint.
"""

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from studio import adapters, base_models, checkpoints, columns, runs
from studio.compare_request import MOST_COLUMNS, Column, read_request
from studio.errors import Conflict, Invalid, StudioError, clip
from studio.listing import MOST
from studio.records import LOCAL_PERSON
from studio.studio import Studio

BASE, MIX = "base", "mix"
OWN = ("system", "temperature", "top_p", "seed", "max_new_tokens")  # what a column may have of its own
WHOLE = ("seed", "max_new_tokens")  # of these, whole numbers
RUNS_WITH_CHECKPOINTS = 20  # the newest; older ones are asked by their address


class LineUp(BaseModel):
    """At most four columns; each says who answers and what it has of its own."""

    columns: list[Column] = Field(default_factory=list, max_length=MOST_COLUMNS)


@dataclass(frozen=True)
class Offers:
    """Who can be chosen on one base model."""

    base: str = ""
    """Its name."""
    adapters: tuple[tuple[str, str], ...] = ()
    """(id, name), newest first."""
    mixable: tuple[tuple[str, str], ...] = ()
    """Those of them whose updates add up."""
    checkpoints: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    """(id of the run, its name, steps)"""


def who_of(column: Column) -> str:
    """Who answers there, in one word."""
    if column.mix:
        return " ".join(f"{part.adapter}*{part.weight:g}" for part in column.mix)
    if column.checkpoint:
        return f"{column.checkpoint.run}@{column.checkpoint.step}"
    return column.adapter or BASE


def column_of(who: str, own: dict[str, Any] | None = None) -> Column:
    """The column that a word asks for. Raises Invalid for one that makes no sense."""
    who = who.strip()
    named: dict[str, Any] = {}
    if run := re.fullmatch(r"(\w+)@(\d{1,9})", who, re.ASCII):
        named["checkpoint"] = {"run": run[1], "step": int(run[2])}
    elif "*" in who:
        parts = [part.partition("*") for part in who.replace("+", " ").split()]
        named["mix"] = [{"adapter": id, "weight": number_of(weight)} for id, _, weight in parts]
    elif who and not re.fullmatch(r"\w+", who, re.ASCII):
        raise Invalid(f"'{clip(who, 40)}' is nobody who could answer.", "Choose another one.")
    elif who and who != BASE:
        named["adapter"] = who
    return read_request({**named, **(own or {})}, Column)


def number_of(text: str, whole: bool = False) -> float:
    """Raises Invalid for what is no number that can be counted with."""
    with contextlib.suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and (number.is_integer() or not whole):
            return int(number) if whole else number
    raise Invalid(f"'{text[:20]}' is no {'whole ' * whole}number.", "Type digits, such as 1.")


def own_of(said: dict[str, Any]) -> dict[str, Any]:
    """What a column has of its own, from the words in its inputs; an empty one has nothing."""
    kept = {name: str(said.get(name) or "").strip() for name in OWN}
    return {name: text if name == "system" else number_of(text, name in WHOLE) for name, text in kept.items() if text}


def own_in(column: Column) -> dict[str, Any]:
    return column.model_dump(include=set(OWN), exclude_none=True)


def read_lineup(value: Any) -> LineUp:
    """The line-up as the page sent it back. Raises Invalid for one that this page did not make."""
    try:
        return LineUp.model_validate(value or {})
    except ValidationError:
        raise Invalid("What is chosen on this page cannot be read.", "Reload the page.") from None


def said_in(said: Any) -> LineUp:
    """The line-up from the page's inputs: of each column who answers, and its own settings. Raises Invalid with the reason."""
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        raise Invalid("What is chosen on this page cannot be read.", "Reload the page.")
    return LineUp(columns=[column_of(str(one.get("who", "")), own_of(one)) for one in said[:MOST_COLUMNS]])


def arranged(lineup: LineUp, act: str, place: int, value: str, offers: Offers) -> LineUp:
    """The line-up after one act of the person. Raises Invalid or Conflict with the reason."""
    if act == "add":
        if len(lineup.columns) >= MOST_COLUMNS:
            raise Conflict(f"There are {MOST_COLUMNS} columns already.", "Remove one first.")
        return LineUp(columns=[*lineup.columns, column_of(next_one(lineup, offers))])
    if not 0 <= place < len(lineup.columns):
        raise Invalid("There is no such column.", "Reload the page.")
    found = list(lineup.columns)
    column = found[place]
    if act == "remove":
        del found[place]
    elif act == "who":
        found[place] = column_of(new_mix(column, offers) if value == MIX else value, own_in(column))
    elif act in ("mix-in", "mix-out"):
        parts = [f"{part.adapter}*{part.weight:g}" for part in column.mix or ()]
        parts = [*parts, f"{value}*1"] if act == "mix-in" else [p for p in parts if p.partition("*")[0] != value]
        found[place] = column_of(" ".join(parts), own_in(column))
    return LineUp(columns=found)


def next_one(lineup: LineUp, offers: Offers) -> str:
    """Who comes into a new column: an adapter that is not there yet, otherwise the base."""
    there = {column.adapter for column in lineup.columns}
    return next((id for id, _ in offers.adapters if id not in there), BASE)


def new_mix(column: Column, offers: Offers) -> str:
    """A mix to begin with: the adapter that answered there and another one, both in full."""
    if column.mix:
        return who_of(column)
    ids = [id for id, _ in offers.mixable]
    if column.adapter in ids:
        ids = [column.adapter, *(id for id in ids if id != column.adapter)]
    if len(ids) < 2:
        raise Conflict("A mix takes two adapters of this base model.", "Train or import another one.")
    return " ".join(f"{id}*1" for id in ids[:2])


def offers_of(studio: Studio, base: str, asked: Sequence[Column] = ()) -> Offers:
    """Who can be chosen on this base, with those that are chosen already however old they are."""
    if not base:
        return Offers()
    found = list(adapters.list_adapters(studio, base_model=base, limit=MOST).items)
    chosen = [id for column in asked for id in (column.adapter, *(part.adapter for part in column.mix or ())) if id]
    for id in dict.fromkeys(chosen):
        if id not in {adapter.id for adapter in found}:
            with contextlib.suppress(StudioError):
                found.append(adapters.get_adapter(studio, id))
    named = tuple((adapter.id, adapter.name) for adapter in found)
    mixable = tuple((adapter.id, adapter.name) for adapter in found if adapter.method == "lora")
    return Offers(base_models.get_model(studio, base).name, named, mixable, _checkpoints(studio, base, asked))


def _checkpoints(studio: Studio, base: str, asked: Sequence[Column]) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """(id, name, steps) of runs that have some. A chosen one stays although its run has dropped it: a copy answers."""
    chosen = [column.checkpoint for column in asked if column.checkpoint]
    newest = runs.list_runs(studio, base_model=base, limit=RUNS_WITH_CHECKPOINTS).items
    named = {run.id: run.name for run in newest}
    for checkpoint in chosen:
        if checkpoint.run not in named:
            with contextlib.suppress(StudioError):
                named[checkpoint.run] = runs.get_run(studio, checkpoint.run).name
    found = []
    for id, name in named.items():
        steps = {*checkpoints.steps_of(studio, id, LOCAL_PERSON), *(one.step for one in chosen if one.run == id)}
        if steps:
            found.append((id, name, tuple(sorted(steps, reverse=True))))
    return tuple(found)


def that_can_answer(studio: Studio, base: str, asked: Sequence[Column]) -> list[Column]:
    """Those of these columns that can answer on this base now."""
    able = []
    for column in asked:
        with contextlib.suppress(StudioError):
            columns.answerers(studio, base, [column], LOCAL_PERSON)
            able.append(column)
    return able


def name_of(column: Column, offers: Offers) -> str:
    """What a column is called. A mix is called by what is in it: its weights may move while it answers."""
    names = dict(offers.adapters)
    if column.mix:
        return "Mix of " + " and ".join(names.get(part.adapter, part.adapter) for part in column.mix)
    if column.checkpoint:
        run = next((name for id, name, _ in offers.checkpoints if id == column.checkpoint.run), column.checkpoint.run)
        return f"{run}, step {column.checkpoint.step}"
    if column.adapter:
        return names.get(column.adapter, column.adapter)
    return f"{offers.base} (base)"


def colours_of(asked: Sequence[Column]) -> list[int]:
    """Which colour of the series each column has: the base is grey, everybody else the next one."""
    colours, last = [], 0
    for column in asked:
        last += who_of(column) != BASE
        colours.append(last if who_of(column) != BASE else 0)
    return colours
