"""What the gate lets through, in front of an application that would answer anything."""

import anyio
import pytest
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from studio.gate import MOST_STREAMS, Gate


async def answers_anything(scope, receive, send):
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    leaky = {
        "access-control-allow-origin": "http://localhost:9999",
        "Access-Control-Allow-Credentials": "true",
        "cookie": "secret=1",
        "authorization": "Bearer x",
        "cache-control": "public",
        "content-disposition": "inline",
    }
    await PlainTextResponse(f"{size} bytes", headers=leaky)(scope, receive, send)


@pytest.fixture
def client():
    gate = Gate(answers_anything, ["/", "/runs", "run"], upload_bytes=5_000_000, body_bytes=1000)
    return TestClient(gate, base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/runs",
        "/run?id=abc",
        "/healthz",
        "/docs",
        "/openapi.json",
        "/api/v1/runs",
        "/api/v1/runs/abc/metrics",
        "/files/adapters/abc",
        "/config",
        "/gradio_api/queue/data?session_hash=x",
    ],
)
def test_pages_the_api_and_what_a_page_needs_pass(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "/team", "/api/v2/runs", "/files/runs/abc", "/files/adapters/../../x", "/files/adapters/a%2f..%2f..%2fx", "/gradio_api/openapi.json",
        "/gradio_api/deep_link", "/gradio_api/proxy=http://example.org", "/gradio_api/file=http://example.org/x", "/gradio_api/file=a/../../x",
        "/gradio_api/runs", "/gradio_api/token", "/gradio_api/user", "/gradio_api/dev/reload", "/gradio_api/vibe-code", "/monitoring", "/monitoring/summary", "/login",
        "/studio.sqlite", "/..%5cx", "/runs%00",
    ],
)  # fmt: skip
def test_what_is_not_named_is_not_served(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["fix"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860", "10.0.0.5:7860", "", "[::2]:7860"]
)
def test_a_forged_host_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:9000", "[::1]:7860", "LOCALHOST"])
def test_every_name_of_loopback_is_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_write_from_another_site_is_refused(client, headers):
    for path in ("/api/v1/runs", "/gradio_api/queue/join", "/gradio_api/upload"):
        assert client.post(path, headers=headers).status_code == 403
    assert client.delete("/api/v1/runs/abc", headers=headers).status_code == 403


def test_a_write_from_a_page_of_ours_and_from_a_program_passes(client):
    assert (
        client.post(
            "/api/v1/runs", headers={"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}
        ).status_code
        == 200
    )
    assert client.post("/api/v1/runs").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "PATCH"])
def test_methods_that_no_route_takes_are_refused(client, method):
    assert client.request(method, "/runs").status_code == 404


def test_a_body_above_the_limit_is_refused_by_its_announced_length(client):
    answer = client.post("/api/v1/runs", content=b"x" * 2000)
    assert answer.status_code == 413
    assert "MB" in answer.json()["error"]["problem"]


def test_a_body_above_the_limit_is_refused_while_it_comes_in(client):
    seen = 0

    def endless():
        nonlocal seen
        for _ in range(10_000):
            seen += 1
            yield b"x" * 100

    assert client.post("/api/v1/runs", content=endless()).status_code == 413


def test_an_upload_has_its_own_limit(client):
    assert client.post("/api/v1/datasets", content=b"x" * 2_000_000).text == "2000000 bytes"
    assert client.post("/api/v1/datasets", content=b"x" * 7_000_000).status_code == 413


def test_answers_carry_what_a_browser_must_be_told_and_no_secret(client):
    headers = client.get("/api/v1/runs").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "cookie" not in headers
    assert "authorization" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]


def test_an_uploaded_file_is_never_shown_as_a_page(client):
    assert client.get("/gradio_api/file=/data/incoming/page.html").headers["content-disposition"] == "attachment"


def test_a_thousand_idle_streams_are_not_taken():
    opened = []

    async def never_ends(scope, receive, send):
        opened.append(scope["path"])
        await anyio.sleep_forever()

    async def flood() -> list[int]:
        gate, refused = Gate(never_ends, ["/"], 1000, 1000), []

        async def listen():
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/gradio_api/queue/data",
                "headers": [(b"host", b"localhost")],
            }

            async def send(message):
                if message["type"] == "http.response.start":
                    refused.append(message["status"])

            await gate(scope, None, send)

        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(listen)
            with anyio.move_on_after(0.2):
                await anyio.sleep_forever()
            group.cancel_scope.cancel()
        assert gate.streams == 0
        return refused

    refused = anyio.run(flood)
    assert (len(opened), set(refused), len(refused)) == (MOST_STREAMS, {429}, 1000 - MOST_STREAMS)
