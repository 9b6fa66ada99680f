"""OpenAI's protocol at /v1: base models and adapters answer programs that were written for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from studio.api.here import Here, Who
from studio.completions.request import CompletionRequest
from studio.completions.served import find, served
from studio.completions.writing import Completion

ROUTER = APIRouter(prefix="/v1", tags=["OpenAI's protocol"])
LOOK_SECONDS = 1.0  # between two looks whether the client still waits for a whole answer
NOBODY_WAITS = 499  # as web servers note it; nobody reads it


@ROUTER.get("/models")
def list_served(here: Here, who: Who) -> dict[str, Any]:
    """Every base model that is ready, and every adapter; `parent` is an adapter's base."""
    return {"object": "list", "data": [each.shown() for each in served(here, who)]}


@ROUTER.get("/models/{id:path}")
def get_served(id: str, here: Here, who: Who) -> dict[str, Any]:
    return find(here, id, who).shown()


@ROUTER.post("/chat/completions", response_model=None)
async def complete(asked: CompletionRequest, request: Request, here: Here, who: Who) -> Response:
    """Answer the last message of a conversation. With `stream` as server-sent events, the last of them `[DONE]`."""
    completion = Completion(here, asked, who)
    if not asked.stream:
        return await while_awaited(request, completion)
    chunks = completion.chunks()
    first = await anext(chunks)  # what cannot start at all is answered as an error, not as a stream
    return StreamingResponse(sent(first, chunks), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def sent(first: str, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
    async with contextlib.aclosing(chunks):
        yield first
        async for chunk in chunks:
            if chunk:
                yield chunk


async def while_awaited(request: Request, completion: Completion) -> Response:
    """The whole answer; a client that has gone frees its place at once."""
    writing = asyncio.create_task(completion.whole())
    try:
        while not writing.done():
            await asyncio.wait((writing,), timeout=LOOK_SECONDS)
            if not writing.done() and await request.is_disconnected():
                return Response(status_code=NOBODY_WAITS)
        return JSONResponse(writing.result())
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
