"""Imports of data from the Hub: begin, watch, look into what came, take it as a data set, or end."""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from studio import datasets
from studio.api.datasets import detailed
from studio.api.here import ERRORS, Body, Here, Who
from studio.hub_data import imports
from studio.hub_data.wanted import Wanted

ROUTER = APIRouter(prefix="/api/v1/data-imports", tags=["Data from the Hub"], responses=ERRORS)


class Look(Body):
    format: str | None = Field(None, max_length=40)
    mapping: dict[str, str] | None = None


class Take(Look):
    name: str | None = Field(None, max_length=100)
    on_bad_rows: Literal["refuse", "drop"] = "refuse"


@ROUTER.post("", status_code=202)
def begin(wanted: Wanted, here: Here, who: Who) -> dict:
    """Fetch the rows of one split, by a process of its own. No program of the repository is run."""
    return imports.shown(imports.begin(here, wanted, who))


@ROUTER.get("")
def list_imports(here: Here) -> dict:
    """Those that are on their way, and those that nobody has taken yet; newest first."""
    return {"items": [imports.shown(each) for each in imports.list_imports(here)], "next": None}


@ROUTER.get("/{id}")
def get_import(id: str, here: Here) -> dict:
    """`state` is running, ready, choose (with `choices` for `field`), refused or ended."""
    return imports.shown(imports.get_import(here, id))


@ROUTER.post("/{id}/inspect")
def inspect(id: str, look: Look, here: Here) -> dict:
    """What the rows are taken for, without keeping them."""
    with imports.rows_of(here, id) as (found, path):
        report = datasets.inspect_upload(here, path, found.file_name, look.format, look.mapping)
    return report.model_dump(mode="json")


@ROUTER.post("/{id}/take", status_code=201)
def take(id: str, wanted: Take, here: Here, who: Who) -> dict:
    """The rows become a data set, checked like those of a file; the import is gone then."""
    made = imports.take(here, id, wanted.name, wanted.format, wanted.mapping, wanted.on_bad_rows, who)
    return detailed(here, made.id)


@ROUTER.delete("/{id}", status_code=204)
def end(id: str, here: Here) -> None:
    """Stop it where it is; what came is forgotten."""
    imports.end(here, id)
