"""Compare: the same messages answered by the base and by adapters at once, as server-sent events."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from studio import compare
from studio.api.here import ERRORS, Here, Who
from studio.compare_request import CompareRequest, NewWeights, OneColumn
from studio.errors import StudioError

ROUTER = APIRouter(prefix="/api/v1/compare", tags=["Compare"], responses=ERRORS)


@ROUTER.post("", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def compare_columns(request: CompareRequest, here: Here, who: Who) -> StreamingResponse:
    """Events: `{"id": "..."}` of the comparison, `{"column": 0, "text": "..."}`, then per column one with `"done": true` and its proof.

    While others' answers are being written: `{"position": 2, "waiting": 5}`, the place in the line."""
    events = compare.stream(here, request, who)
    first = await anext(events, None)  # what cannot start at all is answered as an error, not as a stream
    return StreamingResponse(sent(first, events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@ROUTER.post("/{id}/weights")
async def change_weights(id: str, change: NewWeights, here: Here, who: Who) -> dict:
    """Other weights for a mix while its answer is being written, from the next token on."""
    return await compare.change_weights(here, id, change, who)


@ROUTER.post("/{id}/stop")
async def stop_column(id: str, stop: OneColumn, here: Here, who: Who) -> dict:
    """End one column's answer where it is, while the others go on."""
    return await compare.stop_column(here, id, stop, who)


async def sent(first: dict | None, events: AsyncIterator[dict]) -> AsyncIterator[str]:
    try:
        if first is not None:
            yield f"data: {json.dumps(first, ensure_ascii=False)}\n\n"
        async for event in events:
            yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
    except StudioError as error:
        yield f"data: {json.dumps({'error': error.as_dict()}, ensure_ascii=False)}\n\n"
    finally:
        await events.aclose()
