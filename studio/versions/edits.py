"""What can be done to the rows of a data set: change one, drop one, add one, hold one out, mend what the checks found."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.containers.container import large_row, too_large
from studio.dataset_reading import recognise
from studio.errors import Invalid, StudioError, clip
from studio.formats import KINDS, Found, Kind, RowFault
from studio.formats.checks import checked
from studio.formats.strict_json import parse
from studio.learning import Row
from studio.row_checks.kinds import CHECKS

MOST_EDITS = 100_000  # of one version
LEFT_OUT = "left_out"
"""The fix that brings back rows which could not be used, in the order in which they can."""
FIXABLE = (*CHECKS, LEFT_OUT)


class Edit(BaseModel):
    """One change, as the API takes it and a draft keeps it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    op: Literal["change", "drop", "add", "fix"]
    row: int | None = Field(None, ge=1, le=2**53 - 1, description="Which row of the version, counted from 1.")
    value: dict[str, Any] | None = Field(
        None, description="The row as it shall be, in any format of its kind that an upload may have."
    )
    heldout: bool | None = Field(None, description="Whether it is measured on instead of trained on.")
    check: str | None = Field(
        None,
        max_length=40,
        description="With fix: the kind of finding that is mended, in this row, or without one in every row that has it.",
    )


class Fix(BaseModel):
    """A fix of one kind of finding, of one row or of all that have it."""

    check: str
    place: int | None = None  # from 0; None: all


class Change(BaseModel):
    """What becomes of one row; None leaves that as it is. Crosses to the process that writes large versions."""

    fields: Row | None = None
    heldout: bool | None = None
    drop: bool = False


class Changes(BaseModel):
    rows: dict[int, Change] = Field(default_factory=dict)
    """By the row's place in the version it is changed in, from 0."""
    new: list[Change] = Field(default_factory=list)
    fixes: list[Fix] = Field(default_factory=list)


def gathered(edits: Sequence[Edit], kind: Kind, rows: int) -> Changes:
    """Edits of a version of so many rows as one change for each row, the later ones over the earlier.

    Raises Invalid that names the edit for a row that does not exist, has been dropped before, or cannot be learned from.
    """
    if not edits:
        raise Invalid("There are no edits.", "Change, drop or add at least one row.", "edits")
    if len(edits) > MOST_EDITS:
        raise Invalid(
            f"{len(edits):,} edits are more than the {MOST_EDITS:,} of one version.", "Save them in parts.", "edits"
        )
    found = Changes()
    for place, edit in enumerate(edits):
        try:
            _gather(found, edit, kind, rows)
        except RowFault as fault:
            of = f"row {edit.row:,}" if edit.row else "a new row"
            raise Invalid(
                f"Edit {place + 1} ({of}): {fault.problem}", fault.fix, f"edits[{place}].{fault.field or 'value'}"
            ) from None
    return found


def _gather(found: Changes, edit: Edit, kind: Kind, rows: int) -> None:
    if edit.op == "fix":
        found.fixes.append(_fix(edit, rows))
        return
    if edit.check is not None:
        raise RowFault("check", f"To {edit.op} a row, no finding is named.", "Leave 'check' out.", "check")
    if (edit.op == "add") is not (edit.row is None):
        what = "A new row has no number yet" if edit.op == "add" else f"To {edit.op} a row, its number is needed"
        raise RowFault("row", f"{what}.", "Give 'row' with change and drop, and leave it out with add.", "row")
    if edit.row is not None and edit.row > rows:
        raise RowFault("row", f"There is no such row: this version has {rows:,}.", "Look at its rows again.", "row")
    if edit.op == "drop" and (edit.value is not None or edit.heldout is not None):
        raise RowFault("drop", "A row that is dropped has no value.", "Leave 'value' and 'heldout' out.")
    if edit.op == "add":
        fields = fields_of(edit.value, kind)
        found.new.append(Change(fields=fields, heldout=bool(edit.heldout)))
        return
    change = found.rows.setdefault(edit.row - 1, Change())
    if change.drop:
        raise RowFault("dropped", "An earlier edit has dropped it.", "Take one of the two back.", "row")
    if edit.op == "drop":
        found.rows[edit.row - 1] = Change(drop=True)
        return
    if edit.value is None and edit.heldout is None:
        raise RowFault("empty", "It says nothing that would change.", "Give 'value' or 'heldout'.")
    if edit.value is not None:
        change.fields = fields_of(edit.value, kind)
    if edit.heldout is not None:
        change.heldout = edit.heldout


def _fix(edit: Edit, rows: int) -> Fix:
    if edit.check not in FIXABLE:
        raise RowFault(
            "check",
            f"There is no kind of finding '{clip(edit.check or '', 40)}'.",
            f"Choose one of: {', '.join(FIXABLE)}.",
            "check",
        )
    if edit.value is not None or edit.heldout is not None:
        raise RowFault("fix", "A fix makes the row's value itself.", "Leave 'value' and 'heldout' out.")
    if edit.row is not None and (edit.row > rows or edit.check == LEFT_OUT):
        raise RowFault("row", f"There is no such row: this version has {rows:,}.", "Look at its rows again.", "row")
    return Fix(check=edit.check, place=None if edit.row is None else edit.row - 1)


def fields_of(value: dict[str, Any] | None, kind: Kind) -> Row:
    """A row in any format of this kind as it stands in messages.jsonl. Raises RowFault when nothing can be learned from it."""
    return found_in(value, kind).fields


def found_in(value: dict[str, Any] | None, kind: Kind) -> Found:
    if not value:
        raise RowFault("empty", "The row is empty.", "Give it a value.")
    try:
        text = json.dumps(value)
        if too_large(json.dumps(value, ensure_ascii=False)):
            raise large_row()
    except (ValueError, RecursionError, TypeError):
        raise RowFault("json", "It is not JSON, or nested too deep.", "Write it flatter.") from None
    row = parse(text)  # the limits of every uploaded row: depth, halves of characters, numbers
    format = recognise([row])
    if format is None:
        raise RowFault(
            "columns",
            "No format has these columns.",
            f"Write it as {EXAMPLES[kind]}.",
        )
    if format.kind != kind:
        raise RowFault(
            "kind",
            f"It is of the kind '{KINDS[format.kind]}', and this data set of the kind '{KINDS[kind]}'.",
            f"Write it as {EXAMPLES[kind]}.",
        )
    try:
        return checked(format.read(row, format.mapping(list(row))))
    except StudioError as error:
        raise RowFault("value", error.problem, error.fix, error.field) from None


EXAMPLES: dict[Kind, str] = {
    "conversations": '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}',
    "text": '{"text": "..."}',
    "preference": '{"prompt": "...", "chosen": "...", "rejected": "..."}',
}
