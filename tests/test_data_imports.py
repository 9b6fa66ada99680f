"""Data from the Hub, by `datasets` in a real process against a stand-in for the Hub: what comes, what is chosen, what is refused, and how it ends."""

import json
import time

import pyarrow
import pyarrow.parquet
import pytest
from fastapi.testclient import TestClient

from studio.errors import Conflict, Invalid, NotFound, Unavailable
from studio.hub_data import imports
from studio.hub_data.wanted import Wanted, checked
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.versions.lineage import get_version
from studio.web import build_app
from tests.dataset_files import rows_of
from tests.hub_stand_in import COMMIT, HubStandIn, serving

PATIENCE = 120
CONFIGS = "---\nconfigs:\n- config_name: en\n  data_files: en.jsonl\n- config_name: de\n  data_files: de.jsonl\n---\n"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with data sets of each kind, below the name "me"."""
    root = tmp_path / "hub"
    written = {
        "csv/data.csv": "prompt,completion\nNA,007\nHow?,1e5\n",
        "two/README.md": CONFIGS,
        "two/en.jsonl": '{"prompt": "a", "completion": "b"}\n',
        "two/de.jsonl": '{"prompt": "c", "completion": "d"}\n',
        "script/script.py": "raise SystemExit('this must never run')\n",
        "about/README.md": "Nothing but this.\n",
        "broken/train.jsonl": '{"prompt": "a", "completion": "b"}\n{"prompt": 3,\n',
        "gated/data.jsonl": '{"prompt": "a", "completion": "b"}\n',
    }
    for name, text in written.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "talk/data").mkdir(parents=True)
    (root / "pictures").mkdir()
    table = pyarrow.table({"prompt": ["a", "b", "c"], "completion": ["x", "y", ""]})
    pyarrow.parquet.write_table(table, root / "talk/data/train-00000-of-00001.parquet")
    pyarrow.parquet.write_table(table.slice(1, 1), root / "talk/data/test-00000-of-00001.parquet")
    pictures = pyarrow.table({"prompt": ["a"], "picture": pyarrow.array([b"\x89PNG"])})
    pyarrow.parquet.write_table(pictures, root / "pictures/train.parquet")
    repos = {f"datasets/me/{path.name}": path for path in root.iterdir()}
    with serving(HubStandIn(repos, gated=("datasets/me/gated",))) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


def ended(studio, id: str) -> imports.Import:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = imports.get_import(studio, id)
        if found.state != "running":
            return found
        time.sleep(0.1)
    raise AssertionError(studio.data.data_import(id).log.read_text())


def fetched(studio, **wanted) -> imports.Import:
    return ended(studio, imports.begin(studio, Wanted(**wanted)).id)


def test_a_split_comes_with_another_held_out_and_becomes_a_data_set_that_says_where_it_is_from(studio, hub):
    found = fetched(studio, repo="https://huggingface.co/datasets/me/talk", heldout="test")
    assert (found.state, found.rows, found.commit, found.problem) == ("ready", 4, COMMIT, None)
    assert [each.id for each in imports.list_imports(studio)] == [found.id]
    made = imports.take(studio, found.id, on_bad_rows="drop")
    rows = rows_of(studio, made.id)
    assert [(row["messages"][1]["content"], row["heldout"]) for row in rows] == [
        ("x", False),
        ("y", False),
        ("y", True),
    ]
    assert (made.name, made.file_name, made.dropped_rows) == ("talk", "talk-train.jsonl", 1)
    why = get_version(studio, made.id).why
    assert why == f"From the Hub: me/talk (train, test held out) at {COMMIT[:12]}."
    assert imports.list_imports(studio) == []
    assert not studio.data.data_import(found.id).path.exists()


def test_cells_of_a_table_on_the_hub_stay_what_they_are_and_rows_are_limited(studio, hub):
    found = fetched(studio, repo="me/csv", rows=1)
    assert json.loads(studio.data.data_import(found.id).rows.read_text()) == {"prompt": "NA", "completion": "007"}


def test_of_several_parts_one_is_asked_for_by_name(studio, hub):
    found = fetched(studio, repo="me/two")
    assert (found.state, found.field, found.choices) == ("choose", "config", ("en", "de"))
    assert found.problem == "me/two has 2 parts: en, de."
    with pytest.raises(Conflict, match="No rows came"):
        imports.take(studio, found.id)
    found = fetched(studio, repo="me/two", config="de", split="validation")
    assert (found.state, found.field, found.choices) == ("choose", "split", ("train",))


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("me/none", "There is no data set me/none on the Hub, or it is private."),
        ("me/gated", "me/gated is gated: only who has accepted its owners' terms may fetch it."),
        ("me/script", "me/script is loaded by a program of its own, and programs from the Hub are never run here."),
        ("me/about", "me/about holds no data files that can be read."),
        ("me/broken", "The files of me/broken cannot be read: "),
        ("me/pictures", "The column 'picture' holds pictures, sounds or other binary data"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_words(studio, hub, repo, words):
    found = fetched(studio, repo=repo)
    assert found.state == "refused"
    assert found.problem.startswith(words)
    assert found.fix
    assert not studio.data.data_import(found.id).result.exists()


def test_without_a_network_it_says_so(studio, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = fetched(studio, repo="me/talk")
    assert found.state == "refused"
    assert "cannot be reached" in found.problem


def test_an_import_is_ended_in_the_middle_and_its_process_with_it(studio, hub):
    hub.hold.clear()
    hub.break_off["train-00000-of-00001.parquet"] = [1] * 50
    begun = imports.begin(studio, Wanted(repo="me/talk"))
    with pytest.raises(Conflict, match="not here yet"):
        imports.take(studio, begun.id)
    process = imports._process(studio.data.data_import(begun.id))
    imports.end(studio, begun.id)
    assert not process.is_running() or process.status() == "zombie"
    with pytest.raises(NotFound):
        imports.get_import(studio, begun.id)


def test_an_import_whose_process_is_gone_says_that_it_broke_off(studio, hub):
    folder = studio.data.data_import("abc").create()
    folder.request.write_text(json.dumps({**Wanted(repo="me/talk").model_dump(), "owner": "local", "began": 0}))
    assert imports.get_import(studio, "abc").state == "ended"
    imports.forget_old(studio)
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"repo": "../../etc/passwd"}, "repo"),
        ({"repo": "a b"}, "repo"),
        ({"repo": "me/talk", "revision": "../x"}, "revision"),
        ({"repo": "me/talk", "split": "train[:10%]"}, "split"),
        ({"repo": "me/talk", "config": "a/../b"}, "config"),
        ({"repo": "me/talk", "heldout": "train"}, "heldout"),
    ],
)
def test_names_that_cannot_be_are_refused_at_their_field(studio, wanted, field):
    with pytest.raises(Invalid) as refused:
        checked(studio, Wanted(**wanted))
    assert refused.value.field == field


def test_a_studio_that_does_not_contact_the_hub_says_so(tmp_path):
    offline = Studio.open(StudioSettings(data_folder=tmp_path / "offline", hub_offline=True))
    with pytest.raises(Unavailable, match="does not contact the Hub"):
        imports.begin(offline, Wanted(repo="me/talk"))
    offline.database.close()


def test_the_api_begins_watches_inspects_and_takes_an_import(studio, hub):
    client = TestClient(build_app(studio), base_url="http://127.0.0.1:7860")
    begun = client.post("/api/v1/data-imports", json={"repo": "me/two", "config": "en"})
    assert begun.status_code == 202, begun.text
    at = f"/api/v1/data-imports/{begun.json()['id']}"
    ended(studio, begun.json()["id"])
    assert client.get(at).json()["state"] == "ready"
    assert client.get("/api/v1/data-imports").json()["items"][0]["rows_done"] == 1
    assert client.post(f"{at}/inspect", json={}).json()["format"] == "prompt_completion"
    taken = client.post(f"{at}/take", json={"name": "English"})
    assert (taken.status_code, taken.json()["name"], taken.json()["rows"]) == (201, "English", 1)
    assert client.get(at).status_code == 404
    assert client.post("/api/v1/data-imports", json={"repo": "me/two", "trust": True}).status_code == 422
    assert client.delete("/api/v1/data-imports/nope").status_code == 404
