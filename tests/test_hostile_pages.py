"""Events sent to the pages by hand: a path in their data is believed only when Gradio itself put the file there."""

import os

import pytest
from fastapi.testclient import TestClient

from studio.errors import BadInput
from studio.pages import data_upload
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import build_app

SECRET = '{"prompt": "What is the key?", "response": "4711"}\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a studio's data and, beside it, a file that is none of its business."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.jsonl").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def studio(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(place / "data" / "incoming"))  # as app.py does
        opened = Studio.open(StudioSettings(data_folder=place / "data"))
        yield opened
        opened.database.close()


@pytest.fixture(scope="module")
def client(studio):
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        yield client


def named(path, **more) -> dict:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def events(client, kind: str) -> list[tuple[int, int, int]]:
    """(event, how many inputs it takes, place of the first of this kind) of every event that such a component feeds."""
    config = client.get("/config").json()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    taking = [(event["id"], [kinds[id] for id in event["inputs"]]) for event in config["dependencies"]]
    return [(event, len(inputs), inputs.index(kind)) for event, inputs in taking if kind in inputs]


def send(client, event: int, inputs: list) -> str:
    body = {"data": inputs, "fn_index": event, "session_hash": f"hostile{event}", "event_data": None}
    return client.post("/gradio_api/run/predict", json=body).text


@pytest.mark.parametrize("kind", ["file", "json", "textbox", "dropdown"])
@pytest.mark.parametrize("more", [{}, {"is_stream": True}], ids=["as a file", "as a stream"])
def test_a_path_outside_the_uploads_is_neither_read_nor_moved(client, place, kind, more):
    secret = place / "secret.jsonl"
    asked = events(client, kind)
    assert asked
    for event, inputs, at in asked:
        said = send(client, event, [named(secret, **more) if number == at else "" for number in range(inputs)])
        assert "4711" not in said
    assert secret.read_text() == SECRET
    copies = [path for path in (place / "data" / "incoming").rglob("*") if path.is_file() and path.stat().st_size]
    assert copies == []


@pytest.fixture
def brought(place, studio):
    """A file as Gradio leaves an upload: in a folder of its own among the incoming ones."""
    folder = place / "data" / "incoming" / "0f0f"
    folder.mkdir()
    path = folder / "rows.jsonl"
    path.write_text(SECRET)
    yield path
    for left in (path, *folder.iterdir()):
        left.unlink(missing_ok=True)
    folder.rmdir()


@pytest.mark.parametrize(
    "where",
    [
        "secret.jsonl",
        "data/incoming",
        "data/incoming/0f0f",
        "data/incoming/0f0f/../../../secret.jsonl",
        "data/incoming/0f0f/gone",
    ],
)
def test_no_other_path_is_taken_for_an_upload(studio, place, brought, where):
    with pytest.raises(BadInput, match="not here any more"):
        data_upload.accept(studio, str(place / where))
    assert (place / "secret.jsonl").read_text() == SECRET
    assert brought.is_file()


def test_a_link_is_not_taken_for_an_upload(studio, place, brought):
    link = brought.with_name("link.jsonl")
    os.symlink(place / "secret.jsonl", link)
    with pytest.raises(BadInput, match="not here any more"):
        data_upload.accept(studio, str(link))
    assert (place / "secret.jsonl").read_text() == SECRET


def test_a_file_that_was_uploaded_is_still_taken_over(client, place):
    [path] = client.post("/gradio_api/upload", files={"files": ("mine.jsonl", SECRET.encode())}).json()
    event = next(event for event, inputs, _ in events(client, "file") if inputs == 2)
    send(client, event, [named(path), ""])
    assert not os.path.exists(path)
    taken = [file for file in (place / "data" / "incoming").iterdir() if file.is_file() and file.stat().st_size]
    assert [file.read_text() for file in taken] == [SECRET]
    taken[0].unlink()
