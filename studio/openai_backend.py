"""A server that speaks OpenAI's protocol (vLLM, llama.cpp) in place of our own chat worker, where the operator names one.

Its address comes from the settings alone and its key from STUDIO_OPENAI_KEY, which is neither kept nor logged. Models are
matched by name in its /v1/models: the base by its id, name, location or the location's last part; an adapter by its id or
name (vLLM: --lora-modules ID=path). What it answers is not checked by us, and the proof says so.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator

import httpx

from studio.errors import Invalid, StudioError, Unavailable, clip
from studio.records import BaseModel

KEY = "STUDIO_OPENAI_KEY"
TIMES = httpx.Timeout(10, read=120)  # seconds; a long prompt may take its time before the first token
MOST_CHARACTERS = 2_000_000  # of one answer
MOST_ERROR = 64_000  # bytes of an error's body that are read
ENDS = {"length": "length"}  # finish_reason; everything else is an end of the answer's own


async def answer(url: str, base: BaseModel, question: dict) -> AsyncIterator[dict]:
    """Events of one question as our worker tells them. Raises StudioError; closing cancels every column."""
    async with _client(url) as client:
        served = await _models(client)
        asked = [_model(served, base, column, place, client) for place, column in enumerate(question["columns"])]
        events: asyncio.Queue[dict | StudioError | None] = asyncio.Queue()
        columns = enumerate(zip(question["columns"], asked, strict=True))
        tasks = [asyncio.create_task(_write(client, place, *each, events)) for place, each in columns]
        try:
            left = len(tasks)
            while left:
                event = await events.get()
                if isinstance(event, StudioError):
                    raise event
                left -= bool(event.get("done"))
                yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _client(url: str) -> httpx.AsyncClient:
    address = url.rstrip("/")
    address = address if address.endswith("/v1") else f"{address}/v1"
    key = os.environ.get(KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # No redirects: the key and the conversation go to the operator's address and nowhere else
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=TIMES, follow_redirects=False, trust_env=False)


def _host(client: httpx.AsyncClient) -> str:
    return client.base_url.netloc.decode()


async def _models(client: httpx.AsyncClient) -> list[str]:
    try:
        response = await client.get("models")
        if response.status_code != 200:
            raise _refused(client, response.status_code, response.content)
        return [each["id"] for each in response.json()["data"] if isinstance(each["id"], str)]
    except httpx.HTTPError as error:
        raise _unreachable(client, error) from None
    except (ValueError, KeyError, TypeError):
        raise _not_understood(client) from None


def _model(served: list[str], base: BaseModel, column: dict, place: int, client: httpx.AsyncClient) -> str:
    """The name by which the server knows who answers in a column."""
    adapter = column.get("adapter")
    if column.get("mix") or (adapter and adapter.get("checkpoint")):
        what = "mix" if column.get("mix") else "checkpoint"
        raise Invalid(
            f"Answers come from the server {_host(client)}, which knows no {what}.",
            "Choose an adapter, or start the studio without --openai-url.",
            f"columns.{place}.{what}",
        )
    own = (adapter["id"], adapter["name"]) if adapter else (base.id, base.name, base.location)
    names = [*own, own[-1].rstrip("/").rpartition("/")[2]] if not adapter else own
    if found := next((name for name in names if name in served), None):
        return found
    listed = ", ".join(clip(name, 60) for name in served[:8]) or "none"
    raise Invalid(
        f"The server {_host(client)} serves no model named '{clip(own[0])}' or '{clip(own[1])}', only: {listed}.",
        "Have it serve the model under its id (vLLM: --served-model-name for the base, --lora-modules ID=folder for an adapter).",
        f"columns.{place}.adapter" if adapter else "base_model",
    )


async def _write(client: httpx.AsyncClient, place: int, column: dict, model: str, events: asyncio.Queue) -> None:
    """One column's answer into the queue, its end or its error last."""
    try:
        await _written(client, place, column, model, events)
    except StudioError as error:
        events.put_nowait(error)
    except httpx.HTTPError as error:
        events.put_nowait(_unreachable(client, error))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        events.put_nowait(_not_understood(client))


async def _written(client: httpx.AsyncClient, place: int, column: dict, model: str, events: asyncio.Queue) -> None:
    body = {"model": model, "messages": column["messages"], "max_tokens": column["max_new_tokens"], "stream": True}
    body |= {name: column[name] for name in ("temperature", "top_p", "seed")}
    began, first, pieces, length, ended, usage = time.monotonic(), None, 0, 0, None, {}
    async with client.stream("POST", "chat/completions", json=body) as response:
        if response.status_code != 200:
            raise _refused(client, response.status_code, await _beginning(response))
        async for said in _events(response):
            if "error" in said:
                raise _refused(client, 200, json.dumps(said["error"]).encode())
            usage = said.get("usage") or usage
            for choice in said.get("choices", ())[:1]:
                if text := (choice.get("delta") or {}).get("content"):
                    first, pieces, length = first or time.monotonic(), pieces + 1, length + len(text)
                    events.put_nowait({"column": place, "text": text})
                ended = choice.get("finish_reason") or ended
            if length > MOST_CHARACTERS:
                ended = "length"
                break
    if ended is None:
        raise Unavailable(f"The server {_host(client)} stopped in the middle of the answer.", "Ask again.")
    seconds, tokens = time.monotonic() - began, usage.get("completion_tokens", pieces)
    speed = {
        "prompt_tokens": usage.get("prompt_tokens"),
        "tokens": tokens,
        "seconds": round(seconds, 4),
        "first_token_seconds": first and round(first - began, 4),
        "tokens_per_second": round(tokens / max(seconds, 1e-6), 2) if tokens else None,
    }
    proof = _proof(column.get("adapter"), _host(client), model)
    events.put_nowait({"column": place, "done": True, "stopped_by": ENDS.get(ended, "end"), **speed, "proof": proof})


def _proof(adapter: dict | None, host: str, model: str) -> dict:
    checked = f"not checked: answered by the server {host} as '{clip(model)}'"
    who = {"adapter": adapter and adapter["id"], "name": adapter and adapter["name"]}
    return {**who, "sha256": None, "layers_changed": None, "server": host, "model": model, "self_check": checked}


async def _events(response: httpx.Response) -> AsyncIterator[dict]:
    """The JSON of each server-sent event, until [DONE]."""
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            data = line[5:].strip()
            if data == "[DONE]":
                return
            yield json.loads(data)


async def _beginning(response: httpx.Response) -> bytes:
    read = b""
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) > MOST_ERROR:
            break
    return read


def _refused(client: httpx.AsyncClient, status: int, body: bytes) -> Unavailable:
    said = body[:MOST_ERROR].decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(said)
        said = found.get("error", found).get("message") or said
    fix = f"Look at its log; its key is read from {KEY}." if status in (401, 403) else "Look at its log, and ask again."
    redirects = f" It redirects (status {status}), which is not followed." if 300 <= status < 400 else ""
    return Unavailable(f"The server {_host(client)} refused: {clip(said, 300)}.{redirects}", fix)


def _unreachable(client: httpx.AsyncClient, error: Exception) -> Unavailable:
    slow = isinstance(error, httpx.TimeoutException)
    what = "does not answer in time" if slow else f"cannot be reached ({type(error).__name__})"
    return Unavailable(f"The server {_host(client)} {what}.", "Start it, or start the studio without --openai-url.")


def _not_understood(client: httpx.AsyncClient) -> Unavailable:
    return Unavailable(
        f"The server {_host(client)} does not answer as OpenAI's protocol says.", "Look whether --openai-url is right."
    )
