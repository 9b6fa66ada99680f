"""Adapters: look at them and take them away."""

from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import Field

from studio import adapter_import, adapters, gguf_adapter, xrays
from studio.api.here import ERRORS, Body, Here, Search, Who
from studio.api.uploads import incoming, known_fields
from studio.listing import LIMIT, MOST
from studio.passports import side_by_side, written
from studio.studio import Studio

ROUTER = APIRouter(tags=["Adapters"], responses=ERRORS)
Limit = Annotated[int, Field(ge=1, le=MOST)]
ZIP = {200: {"content": {"application/zip": {}}, "description": "A folder that peft.PeftModel.from_pretrained loads."}}

GGUF = {
    200: {"content": {"application/octet-stream": {}}, "description": "A GGUF adapter, as llama.cpp's --lora takes it."}
}


class Rename(Body):
    name: str = Field(min_length=1, max_length=100)


@ROUTER.get("/api/v1/adapters")
def list_adapters(
    here: Here, q: Search = "", model: str | None = None, limit: Limit = LIMIT, cursor: str | None = None
) -> dict:
    return adapters.list_adapters(here, q, base_model=model, limit=limit, cursor=cursor).shown_as(adapters.shown)


@ROUTER.post("/api/v1/adapters", status_code=201, dependencies=[known_fields("file", "base_model", "name")])
def import_adapter(
    here: Here,
    who: Who,
    file: Annotated[list[UploadFile], File(description="A zip, or the adapter's files one by one.")],
    base_model: Annotated[str | None, Form(description="Id of its base model. Left out: the one that fits.")] = None,
    name: Annotated[str | None, Form(max_length=100)] = None,
) -> dict:
    """An adapter that was made elsewhere becomes one of this studio, or is refused for what it is."""
    with ExitStack() as stack:
        files = [(one.filename or "upload", stack.enter_context(incoming(here, one))) for one in file]
        adapter = adapter_import.import_adapter(here, files, base_model, name, owner=who)
    return detailed(here, adapter.id)


@ROUTER.get("/api/v1/adapters/side-by-side")
def compare_settings(
    here: Here, id: Annotated[list[str], Query(description="Two to four ids.")], only_differences: bool = False
) -> dict:
    """Settings and passports of two to four adapters, line by line."""
    found, lines = side_by_side.side_by_side(here, id)
    return side_by_side.shown(found, [line for line in lines if line.differs or not only_differences])


class FromFolder(Body):
    path: str = Field(min_length=1, max_length=500, description="Name of a folder below the models folder.")
    base_model: str | None = Field(
        None, max_length=64, description="Id of its base model. Left out: the one that fits."
    )
    name: str | None = Field(None, max_length=100)


@ROUTER.post("/api/v1/adapters/folder", status_code=201)
def import_folder(wanted: FromFolder, here: Here, who: Who) -> dict:
    """As an import of files, from a folder that lies below the studio's models folder already."""
    adapter = adapter_import.import_folder(here, wanted.path, wanted.base_model, wanted.name, owner=who)
    return detailed(here, adapter.id)


@ROUTER.get("/api/v1/adapters/{id}")
def get_adapter(id: str, here: Here) -> dict:
    return detailed(here, id)


@ROUTER.get("/api/v1/adapters/{id}/xray")
def xray(id: str, here: Here) -> dict:
    """For each module the norm of its update, its effective rank and its share of the whole; and which smaller ranks would be enough."""
    return xrays.shown(xrays.xray(here, id))


@ROUTER.get("/api/v1/adapters/{id}/download", response_class=StreamingResponse, responses=ZIP)
@ROUTER.get("/files/adapters/{id}", include_in_schema=False)
def download(id: str, here: Here) -> StreamingResponse:
    """The adapter with its tokenizer, chat template, model card and passport, as a zip that is made while it is sent."""
    adapter = adapters.get_adapter(here, id)
    headers = {"Content-Disposition": f'attachment; filename="{adapters.download_name(adapter)}"'}
    return StreamingResponse(written.zip_chunks(here, id), media_type="application/zip", headers=headers)


@ROUTER.get("/api/v1/adapters/{id}/gguf", response_class=StreamingResponse, responses=GGUF)
@ROUTER.get("/files/adapters/{id}/gguf", include_in_schema=False)
def download_gguf(id: str, here: Here) -> StreamingResponse:
    """A plain LoRA adapter for llama.cpp, beside a GGUF of the same base."""
    chunks = gguf_adapter.gguf_chunks(here, id)
    headers = {"Content-Disposition": f'attachment; filename="{gguf_adapter.file_name(here, id)}"'}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


@ROUTER.patch("/api/v1/adapters/{id}")
def rename(id: str, change: Rename, here: Here) -> dict:
    adapters.rename_adapter(here, id, change.name)
    return detailed(here, id)


@ROUTER.delete("/api/v1/adapters/{id}", status_code=204)
def delete_adapter(id: str, here: Here) -> None:
    adapters.delete_adapter(here, id)


def detailed(here: Studio, id: str) -> dict:
    return {**adapters.shown(adapters.get_adapter(here, id)), "passport": written.passport(here, id)}
