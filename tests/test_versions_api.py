"""Versions through the API: the same functions as the pages, with their errors in one shape."""

import json

import pytest
from fastapi.testclient import TestClient

from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import build_app
from tests.dataset_files import COUNTING, change, conversation


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    studio = Studio.open(StudioSettings(data_folder=tmp_path_factory.mktemp("studio") / "data"))
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        yield client
    studio.database.close()


@pytest.fixture
def at(client) -> str:
    """Address of a new data set of five rows."""
    text = "".join(json.dumps(row) + "\n" for row in COUNTING[:5])
    added = client.post("/api/v1/datasets", files={"file": ("count.jsonl", text)}, data={"name": "Pirate, <b>"}).json()
    return f"/api/v1/datasets/{added['id']}"


def as_json(*edits) -> list[dict]:
    return [edit.model_dump(exclude_none=True) for edit in edits]


def test_a_version_is_saved_listed_compared_and_restored(client, at):
    made = client.post(f"{at}/versions", json={"parent": 1, "edits": as_json(change(2, "two!")), "why": "For fun"})
    assert (made.status_code, made.json()["version"], made.json()["why"]) == (201, 2, "For fun")
    listed = client.get(f"{at}/versions").json()["items"]
    assert [(version["version"], version["changed"]) for version in listed] == [(2, 1), (1, 0)]
    assert client.get(f"{at}/versions/1").json()["report"]["rows_ready"] == 5
    page = client.get(f"{at}/versions/2/difference").json()
    assert (page["before"], page["changed"], page["items"][0]["row_after"]) == (1, 1, 2)
    again = client.post(f"{at}/versions/1/restore", json={"parent": 2}).json()
    assert (again["version"], client.get(at).json()["version"]) == (3, 3)


@pytest.mark.parametrize(
    ("body", "status", "field", "said"),
    [
        ({"parent": 7, "edits": as_json(change(1, "x"))}, 409, "parent", "these edits are of version 7"),
        ({"parent": 1, "edits": [{"op": "drop", "row": 6}]}, 422, "edits[0].row", "no such row"),
        ({"parent": 1, "edits": [{"op": "burn", "row": 1}]}, 422, "edits.0.op", ""),
        ({"parent": 1, "edits": [{"op": "drop", "row": 1, "also": 2}]}, 422, "edits.0.also", ""),
        ({"parent": 1, "edits": []}, 422, "edits", "no edits"),
    ],
)
def test_what_cannot_be_saved_is_refused_in_words_and_leaves_nothing(client, at, body, status, field, said):
    refused = client.post(f"{at}/versions", json=body)
    assert refused.status_code == status
    assert refused.json()["error"]["field"] == field
    assert said in refused.json()["error"]["problem"]
    assert client.get(at).json()["version"] == 1


def test_half_a_character_in_an_edit_is_refused(client, at):
    body = '{"parent": 1, "edits": [{"op": "add", "value": {"prompt": "a", "completion": "\\ud83d"}}]}'
    refused = client.post(f"{at}/versions", content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, "half of a character" in refused.json()["error"]["problem"]) == (422, True)


def test_a_draft_gathers_edits_until_it_is_saved(client, at):
    client.post(f"{at}/draft", json={"version": 1, "edits": as_json(change(1, "one!"))})
    draft = client.post(f"{at}/draft", json={"version": 1, "edits": [{"op": "drop", "row": 5}]}).json()
    assert [edit["op"] for edit in draft["edits"]] == ["change", "drop"]
    assert len(client.delete(f"{at}/draft/{draft['edits'][1]['id']}").json()["edits"]) == 1
    assert client.post(f"{at}/draft/save", json={}).json()["changed"] == 1
    assert client.get(f"{at}/draft").json()["edits"] == []
    client.post(f"{at}/draft", json={"version": 2, "edits": [{"op": "drop", "row": 5}]})
    assert client.delete(f"{at}/draft").status_code == 204


def test_an_answer_is_mended_at_once_or_gathered(client, at):
    asked = {"messages": [{"role": "user", "content": "Count to 2."}], "bad": "3", "right": "Two!"}
    gathered = client.post(f"{at}/mend", json={**asked, "save": False}).json()
    assert (gathered["version"], gathered["draft"]["edits"][0]["row"]) == (None, 2)
    client.delete(f"{at}/draft")
    made = client.post(f"{at}/mend", json=asked).json()["version"]
    assert (made["version"], made["changed"], made["why"]) == (2, 1, "Mended: 1 answer.")


def test_rows_are_searched_and_exported(client, at):
    found = client.get(f"{at}/versions/1/rows", params={"q": "to 4"}).json()
    assert [item["row"] for item in found["items"]] == [4]
    file = client.get(f"{at}/versions/1/export", params={"format": "alpaca"})
    assert file.headers["content-disposition"] == 'attachment; filename="pirate-b-v1.jsonl"'
    assert [json.loads(line)["output"] for line in file.text.splitlines()] == ["1!", "2!", "3!", "4!", "5!"]
    refused = client.get(f"{at}/versions/1/export", params={"format": "text"})
    assert refused.status_code == 422
    assert client.get(f"{at}/versions/9/export").status_code == 404
    assert client.get(f"{at}/preview", params={"model": "none", "version": 9}).status_code == 404


def test_two_that_save_on_the_same_version_cannot_both_win(client, at):
    body = {"parent": 1, "edits": [{"op": "add", "value": conversation("a", "b")}]}
    assert [client.post(f"{at}/versions", json=body).status_code for _ in range(2)] == [201, 409]
