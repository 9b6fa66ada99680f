"""Versions of a data set: look at each, make a new one by edits, bring an older one back."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from studio import datasets
from studio.api.here import ERRORS, MOST_NUMBER, Body, Here, Search, Who
from studio.listing import LIMIT, MOST
from studio.versions import difference, drafts, exporting, holding_out, lineage, mending, saving, searching
from studio.versions.edits import Edit

ROUTER = APIRouter(prefix="/api/v1/datasets/{id}", tags=["Versions of data"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]
FILES = {200: {"content": {"application/jsonl": {}, "text/csv": {}}}}
Start = Annotated[int, Field(ge=0, le=MOST_NUMBER)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
PARENT = "The newest version as you know it; the edits are refused when another one has been saved meanwhile."


class NewVersion(Body):
    parent: Number = Field(description=PARENT)
    edits: list[Edit]
    why: str = Field("", max_length=saving.WHY_LENGTH, description="In your words; otherwise what was done is counted.")


class Restore(Body):
    parent: Number = Field(description=PARENT)


@ROUTER.get("/versions")
def list_versions(id: str, here: Here, limit: Limit = LIMIT, cursor: str | None = None) -> dict:
    return lineage.list_versions(here, id, limit, cursor).shown_as(lineage.shown)


@ROUTER.post("/versions", status_code=201)
def save_version(id: str, wanted: NewVersion, here: Here, who: Who) -> dict:
    """The edits of version `parent` as the next one, all of them or none."""
    return lineage.shown(saving.save_version(here, id, wanted.parent, wanted.edits, wanted.why, who))


@ROUTER.get("/versions/{number}")
def get_version(id: str, number: Number, here: Here) -> dict:
    version = lineage.get_version(here, id, number)
    return {**lineage.shown(version), "report": lineage.report_on(here, version).model_dump(mode="json")}


@ROUTER.post("/versions/{number}/restore", status_code=201)
def restore(id: str, number: Number, wanted: Restore, here: Here, who: Who) -> dict:
    """The rows of an older version as the newest one; what is between stays."""
    return lineage.shown(saving.restore_version(here, id, number, wanted.parent, who))


@ROUTER.get("/versions/{number}/rows")
def rows(
    id: str,
    number: Number,
    here: Here,
    q: Search = "",
    heldout: bool | None = None,
    check: Annotated[str, Field(max_length=40, description="Only rows with this kind of finding, such as email.")] = "",
    start: Start = 0,
    count: Annotated[int, Field(ge=1, le=searching.MOST_ROWS)] = 20,
) -> dict:
    """Rows from the one at `start` (counted from 0) on that hold `q`. `next` says where to go on: fewer may come when much was read."""
    return searching.shown(searching.find_rows(here, id, number, q, heldout, start, count, check))


@ROUTER.get("/versions/{number}/difference")
def get_difference(
    id: str,
    number: Number,
    here: Here,
    against: Number | None = None,
    start: Start = 0,
    count: Annotated[int, Field(ge=1, le=50)] = 20,
) -> dict:
    """Rows added, removed and changed since version `against` (its parent where none is named), with the words that differ."""
    before = against or lineage.get_version(here, id, number).parent or number
    return difference.page_of(here, id, before, number, start, count)


@ROUTER.get("/versions/{number}/export", response_class=StreamingResponse, responses=FILES)
def export(id: str, number: Number, here: Here, format: str | None = None) -> StreamingResponse:
    """The rows as a file: messages, sharegpt, alpaca, prompt_completion, preference, text or csv, by the kind of the data."""
    dataset, version = datasets.get_dataset(here, id), lineage.get_version(here, id, number)
    way, text = exporting.export(here, dataset, version, format)
    name = f"{exporting.slug(dataset.name)}-v{number}.{way.ending}"
    kind = "text/csv; charset=utf-8" if way.ending == "csv" else "application/jsonl"
    return StreamingResponse(text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


class HoldOut(Body):
    version: Number = Field(description="The newest as you know it.")
    share: float | None = Field(None, gt=0, lt=1, allow_inf_nan=False, description="Of the rows, by their content.")
    count: int | None = Field(
        None, ge=1, le=2**31 - 1, description="So many rows; those held out already are among them."
    )


@ROUTER.post("/hold-out", status_code=201)
def hold_out(id: str, wanted: HoldOut, here: Here, who: Who) -> dict:
    """A new version with rows held out, chosen by content, so that they stay held out when the data grows."""
    return lineage.shown(holding_out.hold_out(here, id, wanted.version, wanted.share, wanted.count, who))


class NewEdits(Body):
    version: Number = Field(description="That the edits are of: the newest as you know it.")
    edits: list[Edit] = Field(min_length=1, max_length=drafts.MOST)


class SaveDraft(Body):
    why: str = Field("", max_length=saving.WHY_LENGTH)


class NewMend(Body):
    messages: list[mending.Said] = Field(min_length=1, max_length=400)
    bad: str = ""
    right: str
    replace: bool = Field(True, description="Replace the answer where the same question stands in the data already.")
    save: bool = Field(
        True, description="Save at once; otherwise the mend waits with other edits until they are saved."
    )


@ROUTER.get("/draft")
def get_draft(id: str, here: Here, who: Who) -> dict:
    """Your edits that wait to be saved."""
    return drafts.draft_of(here, id, who).shown()


@ROUTER.post("/draft", status_code=201)
def add_to_draft(id: str, wanted: NewEdits, here: Here, who: Who) -> dict:
    return drafts.add_edits(here, id, wanted.version, wanted.edits, who).shown()


@ROUTER.delete("/draft", status_code=204)
def discard_draft(id: str, here: Here, who: Who) -> None:
    drafts.discard(here, id, who)


@ROUTER.delete("/draft/{edit}")
def take_back(id: str, edit: Number, here: Here, who: Who) -> dict:
    return drafts.take_back(here, id, edit, who).shown()


@ROUTER.post("/draft/bring-over")
def bring_over(id: str, here: Here, who: Who) -> dict:
    """Your edits of an older version, as edits of the newest."""
    return drafts.bring_over(here, id, who).shown()


@ROUTER.post("/draft/save", status_code=201)
def save_draft(id: str, wanted: SaveDraft, here: Here, who: Who) -> dict:
    return lineage.shown(drafts.save_draft(here, id, who, wanted.why))


@ROUTER.post("/mend", status_code=201)
def mend(id: str, wanted: NewMend, here: Here, who: Who) -> dict:
    """A bad answer and the right one become a row: of conversations the right answer, of preference pairs both."""
    given = mending.Mend(messages=wanted.messages, bad=wanted.bad, right=wanted.right)
    if not wanted.save:
        return {"version": None, "draft": mending.collect(here, id, given, wanted.replace, who, "Mended").shown()}
    made = mending.mend_data(here, id, given, wanted.replace, who, "Mended")
    return {"version": lineage.shown(made), "draft": drafts.draft_of(here, id, who).shown()}
