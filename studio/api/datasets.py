"""Data sets: upload, look, see what will be trained on."""

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import Field

from studio import datasets, readings
from studio.api.here import ERRORS, MOST_NUMBER, Body, Here, Search, Who
from studio.api.uploads import incoming, known_fields
from studio.errors import Invalid
from studio.length_audit import audit
from studio.listing import LIMIT, MOST
from studio.studio import Studio
from studio.training_settings import TrainingSettings

ROUTER = APIRouter(prefix="/api/v1/datasets", tags=["Data sets"], responses=ERRORS)
Objectives = Literal["auto", "answers", "text", "preference"]
AnswerChoice = Literal["auto", "all", "last", "marked"]
Version = Annotated[int | None, Field(ge=1, le=2**31 - 1, description="Of the data; the newest where none is named.")]
Limit = Annotated[int, Field(ge=1, le=MOST)]


class Rename(Body):
    name: str = Field(min_length=1, max_length=100)


@ROUTER.post(
    "",
    status_code=201,
    dependencies=[known_fields("file", "name", "format", "mapping", "on_bad_rows", "heldout_column")],
)
def add_dataset(
    here: Here,
    who: Who,
    file: Annotated[UploadFile, File()],
    name: Annotated[str | None, Form()] = None,
    format: Annotated[str | None, Form()] = None,
    mapping: Annotated[
        str | None, Form(description='JSON, such as {"prompt": "question", "response": "reply"}')
    ] = None,
    on_bad_rows: Annotated[Literal["refuse", "drop"], Form()] = "refuse",
    heldout_column: Annotated[
        str | None,
        Form(
            max_length=200,
            description="Rows with test, validation, dev or true in it are held out; split where none is named.",
        ),
    ] = None,
) -> dict:
    """A data file becomes a data set, or is refused with its findings; nothing is left behind then."""
    with incoming(here, file) as path:
        added = datasets.add_upload(
            here,
            path,
            file.filename or "upload",
            name,
            format,
            columns(mapping),
            on_bad_rows,
            owner=who,
            heldout_column=heldout_column,
        )
    return detailed(here, added.id)


@ROUTER.post("/inspect", dependencies=[known_fields("file", "format", "mapping")])
def inspect(
    here: Here,
    file: Annotated[UploadFile, File()],
    format: Annotated[str | None, Form()] = None,
    mapping: Annotated[str | None, Form()] = None,
) -> dict:
    """What is in a data file, without keeping it."""
    with incoming(here, file) as path:
        return datasets.inspect_upload(here, path, file.filename or "upload", format, columns(mapping)).model_dump(
            mode="json"
        )


@ROUTER.get("")
def list_datasets(here: Here, q: Search = "", limit: Limit = LIMIT, cursor: str | None = None) -> dict:
    return datasets.list_datasets(here, q, limit, cursor).shown_as(datasets.shown)


@ROUTER.get("/readings")
def readings_now(here: Here) -> dict:
    """The files that are being read and checked at this moment: rows so far, and `done` of the file from 0 to 1 where that is known."""
    return {"items": [each.as_dict() for each in readings.list_readings(here)], "next": None}


@ROUTER.delete("/readings/{id}", status_code=204)
def end_reading(id: str, here: Here) -> None:
    """End one where it is: the request that brought the file is answered with 400, and nothing of it is kept."""
    readings.end_reading(here, id)


@ROUTER.get("/{id}")
def get_dataset(id: str, here: Here) -> dict:
    return detailed(here, id)


@ROUTER.get("/{id}/preview")
def preview(
    id: str,
    here: Here,
    model: str,
    rows: Annotated[int, Field(ge=1, le=50)] = 5,
    start: Annotated[int, Field(ge=0, le=MOST_NUMBER)] = 0,
    sequence_length: Annotated[int | None, Field(ge=8, le=MOST_NUMBER)] = None,
    objective: Objectives = "auto",
    answers: AnswerChoice = "auto",
    version: Version = None,
    ids: Annotated[bool, Field(description="Also every token with its id, in `tokens_in`.")] = False,
) -> dict:
    """Per row the text pieces in order, with `trained` and token counts, from the function that the trainer calls.

    Of a preference pair `pieces` are those with the chosen answer and `rejected` those with the other.
    """
    learning = datasets.learning_for(here, id, TrainingSettings(objective=objective, answers=answers), version)
    shown = datasets.preview(here, id, model, start, rows, sequence_length, learning, version, ids)
    return {"items": [row.as_dict() for row in shown], "next": None}


@ROUTER.get("/{id}/tokens")
def tokens(
    id: str,
    here: Here,
    model: str,
    objective: Objectives = "auto",
    answers: AnswerChoice = "auto",
    version: Version = None,
) -> dict:
    """How long the rows are in tokens of this base model, and how many of them are learned."""
    learning = datasets.learning_for(here, id, TrainingSettings(objective=objective, answers=answers), version)
    return datasets.token_stats(here, id, model, learning, version).as_dict()


@ROUTER.get("/{id}/length")
def length(
    id: str,
    here: Here,
    model: str,
    sequence_length: Annotated[int | None, Field(ge=8, le=MOST_NUMBER)] = None,
    objective: Objectives = "auto",
    answers: AnswerChoice = "auto",
    version: Version = None,
) -> dict:
    """What a sequence length makes of the rows: what is learned and cut, how full the batches are, the steps that follow, and a
    better length. Without a length the one that a training would choose."""
    learning = datasets.learning_for(here, id, TrainingSettings(objective=objective, answers=answers), version)
    return audit(here, id, model, sequence_length, learning, version).as_dict()


@ROUTER.patch("/{id}")
def rename(id: str, change: Rename, here: Here) -> dict:
    datasets.rename_dataset(here, id, change.name)
    return detailed(here, id)


@ROUTER.delete("/{id}", status_code=204)
def delete_dataset(id: str, here: Here) -> None:
    datasets.delete_dataset(here, id)


def detailed(here: Studio, id: str) -> dict[str, Any]:
    return {
        **datasets.shown(datasets.get_dataset(here, id)),
        "report": datasets.report_of(here, id).model_dump(mode="json"),
    }


def columns(mapping: str | None) -> dict[str, str] | None:
    """The column mapping of a form field. Raises Invalid unless it is a JSON object of strings."""
    if not mapping:
        return None
    try:
        value = json.loads(mapping)
        json.dumps(value, ensure_ascii=False).encode()  # no lone surrogates: no file takes them
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(column, str) for column in value.values()):
        raise Invalid(
            "The mapping is not a JSON object of column names.",
            'Write it as {"prompt": "question", "response": "reply"}.',
            "mapping",
        )
    return value
