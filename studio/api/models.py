"""Base models: the built-in one, local folders, and the Hub."""

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from studio import base_models
from studio.api.here import ERRORS, Body, Here, Search, Who
from studio.listing import LIMIT, MOST

ROUTER = APIRouter(prefix="/api/v1/models", tags=["Base models"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]
ZIP = {200: {"content": {"application/zip": {}}, "description": "A folder that transformers loads."}}


class LocalModel(Body):
    source: Literal["local"]
    path: str = Field(min_length=1, max_length=500, description="Name of a folder below the models folder.")
    name: str | None = Field(None, max_length=100)
    template: str | None = Field(
        None, max_length=40, description="Chat template to give a model that has none, such as plain."
    )


class HubModel(Body):
    source: Literal["hub"]
    repo: str = Field(min_length=1, max_length=200, description="Name on the Hub, such as owner/name.")
    revision: str = Field("main", min_length=1, max_length=100)
    template: str | None = Field(None, max_length=40)


class Template(Body):
    template: str = Field(min_length=1, max_length=40)


@ROUTER.get("")
def list_models(here: Here, q: Search = "", limit: Limit = LIMIT, cursor: str | None = None) -> dict:
    return base_models.list_models(here, q, limit, cursor).shown_as(base_models.shown)


@ROUTER.post("", status_code=201)
def add_model(model: Annotated[LocalModel | HubModel, Field(discriminator="source")], here: Here, who: Who) -> dict:
    if isinstance(model, HubModel):
        return base_models.shown(
            base_models.add_hub(here, model.repo, model.revision, template=model.template, owner=who)
        )
    return base_models.shown(
        base_models.add_local(here, model.path, name=model.name, template=model.template, owner=who)
    )


@ROUTER.get("/{id}")
def get_model(id: str, here: Here) -> dict:
    return base_models.shown(base_models.get_model(here, id))


@ROUTER.get("/{id}/download", response_class=StreamingResponse, responses=ZIP)
def download(id: str, here: Here) -> StreamingResponse:
    """A merged model with its tokenizer and chat template, as a zip that is made while it is sent."""
    chunks = base_models.zip_chunks(here, id)
    name = base_models.download_name(base_models.get_model(here, id))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


@ROUTER.post("/{id}/template")
def choose_template(id: str, choice: Template, here: Here) -> dict:
    """Give a chat template to a model that came without one."""
    base_models.choose_template(here, id, choice.template)
    return base_models.shown(base_models.get_model(here, id))


@ROUTER.post("/{id}/retry")
def retry_download(id: str, here: Here) -> dict:
    """Go on with a download that failed; what has arrived stays."""
    base_models.retry_download(here, id)
    return base_models.shown(base_models.get_model(here, id))


@ROUTER.delete("/{id}", status_code=204)
def delete_model(id: str, here: Here) -> None:
    base_models.delete_model(here, id)
