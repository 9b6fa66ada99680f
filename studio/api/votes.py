"""Votes: what they say of each two models, and the pairs of answers that they leave to learn from."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from studio import base_models, datasets, vote_pairs, vote_results
from studio.api.here import ERRORS, Body, Here, Who

ROUTER = APIRouter(prefix="/api/v1/votes", tags=["Votes"], responses=ERRORS)
JSON_LINES = {200: {"content": {"application/jsonl": {}}}}
BaseModelId = Annotated[
    str, Query(max_length=64, description="Id of the base model that was voted on with its adapters.")
]


class NewDataset(Body):
    base_model: str = Field(max_length=64)
    name: str | None = Field(None, min_length=1, max_length=100)
    dataset: str | None = Field(
        None, max_length=64, description="Add the pairs to this data set, as its next version, instead of making one."
    )


@ROUTER.get("/results")
def results(
    base_model: BaseModelId,
    here: Here,
    who: Who,
    by: Annotated[str | None, Query(max_length=64, description="Count the votes of this person alone.")] = None,
) -> dict:
    """Win rates of each two models with 95 % intervals, ratings over three and more, and how far people agree."""
    base_models.get_model(here, base_model)
    return vote_results.results(here, base_model, who, by).shown()


@ROUTER.get("/export", response_class=StreamingResponse, responses=JSON_LINES)
def export_pairs(base_model: BaseModelId, here: Here, who: Who) -> StreamingResponse:
    """Preference pairs as JSON Lines: `{"prompt": [...], "chosen": [...], "rejected": [...]}`. Ties and "all bad" are left out."""
    base_models.get_model(here, base_model)
    pairs = vote_pairs.preference_pairs(here, base_model, who)
    left_out = {f"X-Left-Out-{name.title()}": str(count) for name, count in pairs.left_out().items()}
    attached = {"Content-Disposition": f'attachment; filename="{vote_pairs.FILE_NAME}"'}
    return StreamingResponse(vote_pairs.lines(pairs), media_type="application/jsonl", headers=attached | left_out)


@ROUTER.post("/dataset", status_code=201)
def make_dataset(wanted: NewDataset, here: Here, who: Who) -> dict:
    """The same pairs as a data set to train on, or as the next version of one."""
    base_models.get_model(here, wanted.base_model)
    if wanted.dataset:
        vote_pairs.add_to_dataset(here, wanted.base_model, wanted.dataset, who)
        return datasets.shown(datasets.get_dataset(here, wanted.dataset))
    return datasets.shown(vote_pairs.make_dataset(here, wanted.base_model, wanted.name, who))
