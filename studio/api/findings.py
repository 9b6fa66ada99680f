"""What the checks found in a version's rows, and the rows that were left out; fixes go into the draft or a new version as edits."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from studio.api.here import ERRORS, MOST_NUMBER, Here
from studio.versions import checking

ROUTER = APIRouter(prefix="/api/v1/datasets/{id}/versions/{number}/findings", tags=["Findings"], responses=ERRORS)
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Start = Annotated[int, Field(ge=0, le=MOST_NUMBER)]


@ROUTER.get("")
def get_findings(id: str, number: Number, here: Here) -> dict:
    """How many rows have each kind of finding, what it does to a model and what its fix does; how far the second pass is."""
    return checking.shown(checking.checked_state(here, id, number))


@ROUTER.post("", status_code=202)
def start_check(id: str, number: Number, here: Here) -> dict:
    """Start the second pass: near duplicates and languages. It goes on in a process of its own."""
    return checking.shown(checking.start_check(here, id, number))


@ROUTER.get("/{check}")
def get_rows(
    id: str,
    number: Number,
    check: str,
    here: Here,
    start: Start = 0,
    count: Annotated[int, Field(ge=1, le=checking.MOST_ROWS)] = 20,
) -> dict:
    """Rows with one kind of finding, or with `left_out` those that could not be used, each with what was found."""
    return checking.page_of(here, id, number, check, start, count)
