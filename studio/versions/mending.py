"""Mend the data from an answer: a bad one and the right one beside it become a row of a data set's next version."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio import adapters, dataset_uploads, datasets
from studio.errors import Conflict, Invalid, NotFound
from studio.folders import new_id
from studio.formats import KINDS, RowFault
from studio.learning import Row
from studio.listing import MOST
from studio.records import LOCAL_PERSON, Dataset, DatasetVersion
from studio.rows import iter_lines
from studio.studio import Studio
from studio.versions.drafts import Draft, add_edits, save_draft
from studio.versions.edits import Edit, fields_of
from studio.versions.lineage import folder_of, get_version

FROM_COMPARE = "Mended from Compare"


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "user", "assistant"]
    content: str


class Mend(BaseModel):
    """A question with the conversation before it, the answer that was bad, and the right one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    messages: list[Said] = Field(
        min_length=1,
        max_length=400,
        description="The conversation so far, its system message first; the question last.",
    )
    bad: str = Field("", description="The answer that was given; needed for preference pairs.")
    right: str = Field(description="The answer that should have been given.")

    @property
    def prompt(self) -> list[dict[str, str]]:
        return [message.model_dump() for message in self.messages]


class Place(BaseModel):
    """Where the same question stands in the data already."""

    row: int  # from 1
    answer: str
    value: dict[str, Any]


def value_of(mend: Mend, kind: str) -> dict[str, Any]:
    """A row to learn from. Earlier answers of the conversation were the model's own: they are read, not learned."""
    if kind == "text":
        raise Invalid(
            f"Data of the kind '{KINDS['text']}' has no answers to mend.", "Choose conversations or pairs.", "dataset"
        )
    if kind == "preference":
        return {"prompt": mend.prompt, "chosen": _answer(mend.right), "rejected": _answer(mend.bad)}
    earlier = any(message.role == "assistant" for message in mend.messages)
    before = [{**said, "weight": 0} if said["role"] == "assistant" else said for said in mend.prompt]
    return {"messages": [*before, *({**said, "weight": 1} if earlier else said for said in _answer(mend.right))]}


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def checked_value(mend: Mend, kind: str) -> dict[str, Any]:
    """The same, once it is known that it can be learned from. Raises Invalid."""
    value = value_of(mend, kind)
    try:
        fields_of(value, kind)
    except RowFault as fault:
        raise Invalid(fault.problem, fault.fix, "right") from None
    return value


def same_question(studio: Studio, id: str, mend: Mend) -> Place | None:
    """The first row of the newest version that asks the same, after the same conversation; None where none does."""
    version = get_version(studio, id)
    asked = _spoken(mend.prompt)
    needle = json.dumps(asked[-1][1], ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
    for place, line in enumerate(iter_lines(folder_of(studio, version))):
        if needle in line:
            row = json.loads(line)
            if found := _same_in(row, asked):
                answer, value = found
                return Place(row=place + 1, answer=answer, value=value)
    return None


def _spoken(messages: list[dict]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"].strip()) for message in messages]


def _same_in(row: Row, asked: list[tuple[str, str]]) -> tuple[str, dict[str, Any]] | None:
    """(the answer that the row gives, its value with what comes after the question)."""
    messages = row.get("messages", [])
    if _spoken(messages[: len(asked)]) != asked:
        return None
    if "chosen" in row:
        value = {
            name: row[side] for name, side in (("prompt", "messages"), ("chosen", "chosen"), ("rejected", "rejected"))
        }
        return (row["chosen"][0]["content"], value) if len(messages) == len(asked) else None
    return (messages[len(asked)]["content"], {"messages": messages}) if len(messages) > len(asked) else None


def edit_of(mend: Mend, kind: str, place: Place | None) -> Edit:
    """A new row; or the row at `place` with its answer replaced and everything else as it is."""
    value = checked_value(mend, kind)
    if place and place.answer == mend.right and kind != "preference":
        raise Conflict(f"Row {place.row:,} gives this answer already.", "Write another one, or leave it.")
    if place is None:
        return Edit(op="add", value=value)
    if kind == "preference":
        return Edit(op="change", row=place.row, value=value)
    messages = [dict(message) for message in place.value["messages"]]
    answer = messages[len(mend.messages)]
    answer["content"] = mend.right
    if "learn" in answer:
        answer["learn"] = True
    written = [{**each, "weight": int(each.pop("learn"))} if "learn" in each else each for each in messages]
    return Edit(op="change", row=place.row, value={"messages": written})


def collect(
    studio: Studio,
    id: str,
    mend: Mend,
    replace: bool = True,
    owner: str = LOCAL_PERSON,
    source: str = FROM_COMPARE,
) -> Draft:
    """Put a mend with the edits that wait. With `replace` it takes the place of the same question's answer, where that stands in the data."""
    dataset = datasets.get_dataset(studio, id)
    place = same_question(studio, id, mend) if replace else None
    return add_edits(studio, id, dataset.version, [edit_of(mend, dataset.kind, place)], owner, source)


def mend_data(
    studio: Studio,
    id: str,
    mend: Mend,
    replace: bool = True,
    owner: str = LOCAL_PERSON,
    source: str = FROM_COMPARE,
) -> DatasetVersion:
    """The same, saved at once as the next version, together with what waited before."""
    collect(studio, id, mend, replace, owner, source)
    return save_draft(studio, id, owner)


def new_dataset(studio: Studio, kind: str, mend: Mend, name: str, owner: str = LOCAL_PERSON) -> Dataset:
    """A data set that begins with this mend, by the way of every upload."""
    if kind not in ("conversations", "preference"):
        raise Invalid("A new data set holds conversations or preference pairs.", "Choose one of them.", "kind")
    file = studio.data.incoming / new_id()
    try:
        file.write_text(json.dumps(checked_value(mend, kind), ensure_ascii=False) + "\n", encoding="utf-8")
        return dataset_uploads.add_upload(studio, file, "mended.jsonl", name or "Mended answers", owner=owner)
    finally:
        file.unlink(missing_ok=True)


def learned_from(studio: Studio, adapter: str | None) -> str | None:
    """The data set that an adapter learned from, if it is still here."""
    if not adapter:
        return None
    try:
        said = adapters.passport(studio, adapter).get("dataset")
        return datasets.get_dataset(studio, str(said["id"])).id if isinstance(said, dict) and said.get("id") else None
    except (NotFound, Conflict):
        return None


def choices(studio: Studio) -> list[Dataset]:
    """Data sets that an answer can be mended in, the newest first."""
    return [dataset for dataset in datasets.list_datasets(studio, limit=MOST).items if dataset.kind != "text"]
