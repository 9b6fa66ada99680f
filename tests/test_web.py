"""The assembled web application: every route has a declared policy, errors have one shape, repeated writes are done once."""

import base64
import re

import pytest
from fastapi.testclient import TestClient

from studio.gate import Gate
from studio.web import add_what_comes_with_it, build_app

# Routes of Gradio that no page of ours needs. The gate closes them; a route that is in neither list fails the test below.
CLOSED = {
    "/login", "/logout", "/monitoring", "/monitoring/summary", "/monitoring/{key}", "/pwa_icon", "/pwa_icon/{size}", "/docs/oauth2-redirect",
    "/gradio_api/deep_link", "/gradio_api/user", "/gradio_api/token", "/gradio_api/dev/reload", "/gradio_api/runs", "/gradio_api/openapi.json",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}", "/gradio_api/proxy={url_path}", "/gradio_api/stream/{event_id}",
    "/gradio_api/stream/{event_id}/close", "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}", "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "/gradio_api/file/{path}", "/gradio_api/component_server", "/gradio_api/process_recording", "/gradio_api/vibe-edit", "/gradio_api/undo-vibe-edit",
    "/gradio_api/vibe-code", "/gradio_api/vibe-starter-queries",
}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    from studio.settings import StudioSettings
    from studio.studio import Studio

    studio = Studio.open(StudioSettings(data_folder=tmp_path_factory.mktemp("studio") / "data"))
    add_what_comes_with_it(studio)
    yield build_app(studio)
    studio.database.close()


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        yield client


def inner(app, kind):
    """The first application of this kind in a chain of middlewares."""
    while not isinstance(app, kind):
        app = next(value for name, value in vars(app).items() if name in ("app", "_app"))
    return app


def routes_of(router, prefix="") -> list[tuple[str, str]]:
    """(method, path) of every route, those of mounted applications and included routers too."""
    found = []
    for route in router.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            found += routes_of(included, prefix)
        elif getattr(route, "routes", None):
            found += routes_of(route, prefix + route.path)
        elif getattr(route, "methods", None):
            found += [(method, prefix + route.path) for method in route.methods]
        else:  # files of a folder
            found.append(("GET", prefix + getattr(route, "path", "") + "/{file}"))
    return found


def test_every_route_has_a_declared_policy(app):
    from fastapi import FastAPI

    gate = inner(app, Gate)
    undeclared = set()
    seen = 0
    for method, path in routes_of(inner(app, FastAPI)):
        seen += 1
        plain = re.sub(r"\{(\w+):path\}", r"{\1}", path).rstrip("/") or "/"
        filled = re.sub(r"\{\w+\}", "x", plain)
        if (
            not gate.allows(method, filled)
            and plain not in CLOSED
            and not (plain == "/api/{rest}" or method in ("OPTIONS", "PUT"))
        ):
            undeclared.add(f"{method} {path}")
    assert seen > 60
    assert not undeclared


@pytest.mark.parametrize("path", sorted(CLOSED))
def test_what_is_closed_answers_nothing(client, path):
    filled = re.sub(r"\{\w+\}", "x", path)
    assert client.get(filled).status_code == 404
    assert client.post(filled).status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/models", "/data", "/train", "/runs", "/run", "/compare", "/votes", "/adapters"]
)
def test_every_page_is_served_with_our_stylesheet(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    sheets = re.findall(r"/assets-studio/[\w./-]+\.css", answer.text)
    assert sheets
    assert all(client.get(sheet).status_code == 200 for sheet in sheets)


def test_health_needs_nothing_and_tells_whether_the_runner_is_there(client):
    assert client.get("/healthz").json() | {"device": ""} == {
        "status": "ok",
        "version": "0.1.0",
        "runner": "absent",
        "device": "",
    }


def test_the_api_is_described_and_its_page_needs_no_network(client):
    described = client.get("/openapi.json").json()["paths"]
    assert {
        "/api/v1/models",
        "/api/v1/datasets",
        "/api/v1/plans/estimate",
        "/api/v1/runs",
        "/api/v1/adapters",
        "/api/v1/compare",
        "/api/v1/blind",
        "/api/v1/votes/results",
    } <= described.keys()
    page = client.get("/docs").text
    assert not re.findall(r'(?:src|href)="https?://', page)
    for asset in re.findall(r'(?:src|href)="(/docs-assets/[^"]+)"', page):
        assert client.get(asset).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "json", "status", "field"),
    [
        ("GET", "/api/v1/runs/nothere", None, 404, None),
        ("GET", "/api/v1/adapters/nothere", None, 404, None),
        ("GET", "/api/v1/datasets/..%2f..%2fx", None, 404, None),
        ("GET", "/api/v1/nothing", None, 404, None),
        ("GET", "/api/v1/runs?cursor=forged", None, 422, "cursor"),
        ("GET", "/api/v1/runs?limit=0", None, 422, "limit"),
        ("GET", "/api/v1/runs?state=flying", None, 422, "state.0"),
        ("POST", "/api/v1/runs", {"base_model": "builtin"}, 422, "dataset"),
        ("POST", "/api/v1/runs", {"base_model": "builtin", "dataset": "pirate", "method": {"rank": 0}}, 422, "method.rank"),
        ("POST", "/api/v1/runs", {"base_model": "builtin", "dataset": "pirate", "method": {"rank": 1000}}, 422, "method.rank"),
        ("POST", "/api/v1/runs", {"base_model": "builtin", "dataset": "pirate", "method": {"targets": ["q_proj", "nope"]}}, 422, "method.targets"),
        ("POST", "/api/v1/runs", {"base_model": "builtin", "dataset": "pirate", "training": {"sequence_length": 100000}}, 422, "training.sequence_length"),
        ("POST", "/api/v1/runs", {"base_model": "builtin", "dataset": "pirate", "extra": 1}, 422, "extra"),
        ("POST", "/api/v1/plans/estimate", {"base_model": "nothere", "dataset": "pirate"}, 404, None),
        ("POST", "/api/v1/models", {"source": "local", "path": "../../etc"}, 422, None),
        ("POST", "/api/v1/models", {"source": "floppy"}, 422, "source"),
    ],
)  # fmt: skip
def test_refusals_have_one_shape_and_name_the_field(client, method, path, json, status, field):
    answer = client.request(method, path, json=json)
    told = answer.json()["error"]
    assert (answer.status_code, bool(told["problem"]), bool(told["fix"])) in ((status, True, True), (400, True, True))
    if field:
        assert told["field"] == field


def test_a_body_that_is_no_json_is_told_with_its_place(client):
    answer = client.post("/api/v1/runs", content=b'{"a": ', headers={"content-type": "application/json"})
    assert (answer.status_code, "character 6" in answer.json()["error"]["problem"]) == (422, True)


def test_the_same_write_sent_twice_is_done_once(client):
    body = {"base_model": "builtin", "dataset": "pirate"}
    first = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k1"})
    again = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k1"})
    other = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k2"})
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_that_was_used_for_another_request_is_refused(client):
    body = {"base_model": "builtin", "dataset": "pirate"}
    first = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k9"})
    other = client.post("/api/v1/runs", json={**body, "name": "another"}, headers={"Idempotency-Key": "k9"})
    again = client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "k9"})
    assert (first.status_code, other.status_code) == (201, 422)
    assert "belongs to another request" in other.json()["error"]["problem"]
    assert again.json()["id"] == first.json()["id"]


def test_an_upload_that_is_sent_again_is_the_same_though_its_boundaries_are_drawn_anew(client):
    file = {"file": ("mine.jsonl", b'{"prompt": "a", "completion": "b"}\n{"prompt": "d", "completion": "e"}\n')}
    first, again = (client.post("/api/v1/datasets", files=file, headers={"Idempotency-Key": "k10"}) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]


def test_a_refused_write_may_be_corrected_and_sent_with_the_same_key(client):
    wrong = client.post("/api/v1/runs", json={"base_model": "builtin"}, headers={"Idempotency-Key": "k3"})
    right = client.post(
        "/api/v1/runs", json={"base_model": "builtin", "dataset": "pirate"}, headers={"Idempotency-Key": "k3"}
    )
    assert (wrong.status_code, right.status_code) == (422, 201)


def test_an_upload_is_refused_with_its_report_and_then_taken_without_the_bad_row(client):
    file = {
        "file": (
            "mine.jsonl",
            b'{"prompt": "a", "completion": "b"}\n{"prompt": "c"}\n{"prompt": "d", "completion": "e"}\n',
        )
    }
    refused = client.post("/api/v1/datasets", files=file)
    assert refused.status_code == 400
    assert refused.json()["error"]["report"]["findings"][0]["line"] == 2
    taken = client.post(
        "/api/v1/datasets", files=file, data={"on_bad_rows": "drop", "name": "<img src=x onerror=alert(1)>"}
    ).json()
    assert (taken["rows"], taken["dropped_rows"], taken["name"]) == (2, 1, "<img src=x onerror=alert(1)>")
    assert client.delete(f"/api/v1/datasets/{taken['id']}").status_code == 204
    assert client.get(f"/api/v1/datasets/{taken['id']}").status_code == 404


@pytest.mark.parametrize("address", ["/api/v1/datasets", "/api/v1/datasets/inspect"])
def test_a_misspelt_field_of_an_upload_is_refused_rather_than_ignored(client, address):
    file = {"file": ("rows.jsonl", b'{"prompt": "Hello?", "completion": "Hi"}\n')}
    refused = client.post(address, files=file, data={"maping": "{}"})
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == "maping"
    assert "mapping" in refused.json()["error"]["fix"]


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"'])
def test_a_body_that_is_no_object_is_told_in_words(client, body):
    error = client.post("/api/v1/plans/estimate", content=body, headers={"Content-Type": "application/json"}).json()[
        "error"
    ]
    assert error == {
        "problem": "The body is not a JSON object.",
        "fix": 'Send one with the header "Content-Type: application/json".',
        "field": None,
    }


@pytest.mark.parametrize(
    "address", ["/api/v1/runs", "/gradio_api/queue/join", "/gradio_api/run/predict", "/api/v1/runs/abc/clone"]
)
def test_a_body_without_a_length_ends_at_the_limit_and_is_told_as_that(client, address):
    answer = client.post(
        address, content=(b" " * 1_000_000 for _ in range(14)), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert "10 MB" in answer.json()["error"]["problem"]


def test_no_other_page_of_this_machine_may_read_what_a_page_is_sent(client):
    headers = client.get("/config", headers={"origin": "http://localhost:9999"}).headers
    assert not [name for name in headers if name.startswith("access-control-")]


FAR = "9" * 30


@pytest.mark.parametrize(
    "address",
    [
        f"/api/v1/datasets/pirate/preview?model=builtin&start={FAR}", f"/api/v1/datasets/pirate/preview?model=builtin&sequence_length={FAR}",
        f"/api/v1/runs/abc/log?offset={FAR}", *[f"/api/v1/{kind}?q={'a+' * 3000}" for kind in ("runs", "models", "datasets", "adapters")],
        f"/api/v1/runs?cursor={base64.urlsafe_b64encode(FAR.encode()).decode()}", f"/api/v1/models?cursor={base64.urlsafe_b64encode(b'[' * 9000).decode()}",
    ],
    ids=lambda address: address[:40],
)  # fmt: skip
def test_numbers_and_words_beyond_all_measure_are_refused_by_name(client, address):
    answer = client.get(address)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"]


@pytest.mark.parametrize("path", ["x" * 400, "é" * 200, "a/" * 200 + "x" * 300])
def test_a_models_name_that_no_file_system_takes_is_refused_by_name(client, path):
    answer = client.post("/api/v1/models", json={"source": "local", "path": path})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "path"


@pytest.mark.parametrize(
    "mapping", ["[" * 100_000, '{"prompt": ' * 20_000, '{"prompt": "\\ud800"}', '{"prompt": 1}', "[]", "NaN", "{"]
)
def test_a_mapping_that_is_no_object_of_names_is_refused_by_name(client, mapping):
    sent = {"file": ("a.jsonl", b'{"a": "b"}')}
    answer = client.post("/api/v1/datasets/inspect", files=sent, data={"mapping": mapping})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "mapping"
