"""Versions of a data set: look at each, make a new one by edits, bring an older one back."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from studio.api.here import ERRORS, Body, Here, Who
from studio.listing import LIMIT, MOST
from studio.versions import lineage, saving
from studio.versions.edits import Edit

ROUTER = APIRouter(prefix="/api/v1/datasets/{id}/versions", tags=["Versions of data"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
PARENT = "The newest version as you know it; the edits are refused when another one has been saved meanwhile."


class NewVersion(Body):
    parent: Number = Field(description=PARENT)
    edits: list[Edit]
    why: str = Field("", max_length=saving.WHY_LENGTH, description="In your words; otherwise what was done is counted.")


class Restore(Body):
    parent: Number = Field(description=PARENT)


@ROUTER.get("")
def list_versions(id: str, here: Here, limit: Limit = LIMIT, cursor: str | None = None) -> dict:
    return lineage.list_versions(here, id, limit, cursor).shown_as(lineage.shown)


@ROUTER.post("", status_code=201)
def save_version(id: str, wanted: NewVersion, here: Here, who: Who) -> dict:
    """The edits of version `parent` as the next one, all of them or none."""
    return lineage.shown(saving.save_version(here, id, wanted.parent, wanted.edits, wanted.why, who))


@ROUTER.get("/{number}")
def get_version(id: str, number: Number, here: Here) -> dict:
    version = lineage.get_version(here, id, number)
    return {**lineage.shown(version), "report": lineage.report_on(here, version).model_dump(mode="json")}


@ROUTER.post("/{number}/restore", status_code=201)
def restore(id: str, number: Number, wanted: Restore, here: Here, who: Who) -> dict:
    """The rows of an older version as the newest one; what is between stays."""
    return lineage.shown(saving.restore_version(here, id, number, wanted.parent, who))
