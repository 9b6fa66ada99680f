"""A real server of OpenAI's protocol answers in place of the chat worker: its models by name, its errors in words, its proof plain."""

import json
import socket
import threading
import time

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from studio import compare
from studio.compare_request import read_request
from studio.errors import Invalid, Unavailable
from studio.settings import StudioSettings, read_settings
from studio.studio import Studio
from tests.coroutines import finished
from tests.repeating_studio import add_adapter, add_base

SECRET = "sk-never-shown"


def serving() -> FastAPI:
    """It repeats what it hears, word by word; some words make it fail."""
    app = FastAPI()
    app.state.heard = []

    @app.get("/v1/models")
    async def models(request: Request):
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return JSONResponse({"error": {"message": "Wrong key"}}, 401)
        return {"object": "list", "data": [{"id": "The small one"}, {"id": "pirate"}]}

    @app.post("/v1/chat/completions")
    async def complete(request: Request):
        body = await request.json()
        app.state.heard.append(body)
        asked = body["messages"][-1]["content"]
        if asked == "fail":
            return JSONResponse({"error": {"message": "The context is full"}}, 400)
        if asked == "elsewhere":
            return RedirectResponse("http://127.0.0.1:9/v1/chat/completions")

        async def events():
            words = [f"{body['model']}: ", *(f"{word} " for word in asked.split())]
            for word in words:
                yield f"data: {json.dumps({'choices': [{'delta': {'content': word}}]})}\n\n"
            if asked == "break off":
                return
            if asked == "garbage":
                yield "data: {no json\n\n"
            end = {"choices": [{"delta": {}, "finish_reason": "length" if asked == "long" else "stop"}]}
            yield f"data: {json.dumps({**end, 'usage': {'completion_tokens': 7}})}\n\ndata: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


@pytest.fixture(scope="module")
def server():
    app = serving()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}", app
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def studio(server, tmp_path, monkeypatch):
    monkeypatch.setenv("STUDIO_OPENAI_KEY", SECRET)
    with_server(tmp_path / "data", server[0])
    opened = with_server(tmp_path / "data", server[0])
    for id in ("small", "unserved"):
        add_base(opened, id)
    for id in ("pirate", "judge"):
        add_adapter(opened, id, "small", "local")
    yield opened
    opened.database.close()


def with_server(folder, url):
    return Studio.open(StudioSettings(data_folder=folder, device="cpu", openai_url=url))


def events_of(studio, text, *columns, **more):
    values = {"base_model": "small", "messages": [{"role": "user", "content": text}], "columns": list(columns) or [{}]}

    async def collect():
        return [event async for event in compare.stream(studio, read_request({**values, **more}))]

    return finished(collect())


def test_base_and_adapter_are_answered_by_the_servers_models_of_their_names(studio, server):
    events = events_of(
        studio, "hello there", {}, {"adapter": "pirate", "temperature": 0.5, "seed": 3}, system="Be brief."
    )
    texts = ["".join(e.get("text", "") for e in events if e.get("column") == place) for place in (0, 1)]
    assert texts == ["The small one: hello there ", "pirate: hello there "]
    ends = [event for event in events if event.get("done")]
    assert [(end["tokens"], end["stopped_by"]) for end in ends] == [(7, "end")] * 2
    assert all(end["proof"]["self_check"].startswith("not checked: answered by the server 127.0.0.1") for end in ends)
    heard = {body["model"]: body for body in server[1].state.heard[-2:]}
    assert heard["pirate"]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (heard["pirate"]["temperature"], heard["pirate"]["seed"], heard["pirate"]["max_tokens"]) == (0.5, 3, 200)
    assert not list(studio.data.chat.path.glob("worker.json")), "no worker of our own was started"
    assert SECRET not in json.dumps(events) + json.dumps(studio.settings.as_environment())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fail", "refused: The context is full"),
        ("elsewhere", "redirects .status 307., which is not followed"),
        ("break off", "stopped in the middle"),
        ("garbage", "does not answer as OpenAI's protocol says"),
    ],
)
def test_what_goes_wrong_there_is_said_in_words(studio, text, said):
    with pytest.raises(Unavailable, match=said):
        events_of(studio, text)


def test_a_cut_answer_says_so(studio):
    assert [event["stopped_by"] for event in events_of(studio, "long") if event.get("done")] == ["length"]


MIX = {"mix": [{"adapter": "pirate"}, {"adapter": "judge"}]}


@pytest.mark.parametrize(
    ("columns", "base", "field"),
    [
        ([{}, {"adapter": "judge"}], "small", "columns.1.adapter"),
        ([MIX], "small", "columns.0.mix"),
        ([{}], "unserved", "base_model"),
    ],
)
def test_what_the_server_does_not_have_is_refused_at_its_field(studio, columns, base, field):
    with pytest.raises(Invalid) as refused:
        events_of(studio, "hello", *columns, base_model=base)
    assert refused.value.field == field


def test_a_wrong_key_and_a_server_that_is_away_are_said(studio, monkeypatch, tmp_path):
    monkeypatch.setenv("STUDIO_OPENAI_KEY", "wrong")
    with pytest.raises(Unavailable, match="refused: Wrong key") as refused:
        events_of(studio, "hello")
    assert "STUDIO_OPENAI_KEY" in refused.value.fix
    away = Studio(studio.settings.model_copy(update={"openai_url": "http://127.0.0.1:9"}), studio.database, studio.data)
    with pytest.raises(Unavailable, match="cannot be reached"):
        events_of(away, "hello")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host", "http://", "http://me:secret@host", "http://host/?key=1"]
)
def test_only_a_plain_web_address_is_taken(url):
    with pytest.raises(Invalid):
        read_settings(["--openai-url", url])
