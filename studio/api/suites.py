"""Suites: saved lists of prompts, made from what is sent, from a file or from held-out rows."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import Field

from studio.api.here import ERRORS, Body, Here, Search, Who
from studio.api.uploads import incoming, known_fields
from studio.listing import LIMIT, MOST
from studio.suites import lists
from studio.suites.heldout_rows import HeldoutRows, suite_of_heldout
from studio.suites.uploads import suite_from_upload

ROUTER = APIRouter(prefix="/api/v1/suites", tags=["Suites"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]
Prompts = Annotated[
    list[dict[str, Any]],
    Field(
        description='Each {"text", "system"} or {"messages"}, with "id", "expected", "checks" and "topic" where wanted.'
    ),
]


class NewSuite(Body):
    name: str = Field(max_length=200)
    prompts: Prompts
    after_training: bool = False


class ChangedSuite(Body):
    name: str | None = Field(None, max_length=200)
    prompts: Prompts | None = None
    after_training: bool | None = Field(None, description="Answer it by base and adapter after every training.")


@ROUTER.post("", status_code=201)
def make_suite(body: NewSuite, here: Here, who: Who) -> dict:
    return lists.shown_whole(lists.make_suite(here, body.name, body.prompts, who, after_training=body.after_training))


@ROUTER.post("/upload", status_code=201, dependencies=[known_fields("file", "name")])
def upload(
    here: Here, who: Who, file: Annotated[UploadFile, File()], name: Annotated[str | None, Form()] = None
) -> dict:
    """Prompts as JSON Lines, JSON or CSV; or any data file, whose answers are then expected."""
    with incoming(here, file) as path:
        return lists.shown_whole(suite_from_upload(here, path, file.filename or "upload", name, who))


@ROUTER.post("/heldout", status_code=201)
def from_heldout(body: HeldoutRows, here: Here, who: Who) -> dict:
    """Rows of a data set that a training holds out: always the same ones of the same version."""
    return lists.shown_whole(suite_of_heldout(here, body, who))


@ROUTER.get("")
def list_suites(here: Here, who: Who, q: Search = "", limit: Limit = LIMIT, cursor: str | None = None) -> dict:
    return lists.list_suites(here, who, q, limit, cursor).shown_as(lists.shown)


@ROUTER.get("/{id}")
def get_suite(id: str, here: Here, who: Who) -> dict:
    return lists.shown_whole(lists.get_suite(here, id, who))


@ROUTER.patch("/{id}")
def change_suite(id: str, body: ChangedSuite, here: Here, who: Who) -> dict:
    """Runs of it keep the prompts that they were asked."""
    return lists.shown_whole(lists.change_suite(here, id, who, **body.model_dump()))


@ROUTER.post("/{id}/copy", status_code=201)
def copy_suite(id: str, here: Here, who: Who) -> dict:
    return lists.shown_whole(lists.copy_suite(here, id, who))


@ROUTER.delete("/{id}", status_code=204)
def delete_suite(id: str, here: Here, who: Who) -> None:
    """Its runs stay."""
    lists.delete_suite(here, id, who)
