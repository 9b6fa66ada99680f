"""Passports: what leaves with an adapter, what is believed of one that was brought, and several side by side."""

import io
import json
import zipfile

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio import adapters, base_models
from studio.adapter_import import import_adapter
from studio.errors import Invalid, NotFound, TooLarge
from studio.files import read_json, write_json
from studio.pages import adapters_view, passports, passports_view
from studio.passports import side_by_side, written
from studio.passports.schema import COUNTED, OBJECTS, VERSION, cleaned
from studio.web import build_app
from tests.lora_adapters import add_lora

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def two(studio):
    base_models.add_builtin(studio)
    for id, rank in (("pirate", 4), ("orders", 2)):
        add_lora(studio, id, rank=rank)
        folder = studio.data.adapter(id)
        method = {"name": "lora", "rank": rank, "alpha": 32, "dora": False}
        told = {
            "method": method,
            "training": {"seed": 7, "epochs": rank},
            "dataset": {"name": NASTY, "sha256": "ab" * 32},
        }
        write_json(folder.passport, {**read_json(folder.passport), **told, "versions": {"code": id, "torch": "2"}})
    return studio


def files_of(folder):
    return [(path.name, path) for path in sorted(folder.path.iterdir())]


def test_two_adapters_stand_side_by_side_and_their_differences_alone(two):
    found, lines = side_by_side.side_by_side(two, ["pirate", "orders"])
    assert [adapter.id for adapter in found] == ["pirate", "orders"]
    by_name = {(line.section, line.name): line for line in lines}
    assert by_name["method", "Rank"].values == [4, 2]
    assert by_name["method", "Rank"].differs
    assert not by_name["training", "Seed"].differs
    assert by_name["versions", "code"].differs
    whole = passports_view.side_by_side(found, lines, only=False)
    fewer = passports_view.side_by_side(found, lines, only=True)
    assert "Seed" in whole
    assert "Seed" not in fewer
    assert "<img" not in whole
    for wrong in (["pirate"], ["pirate", "pirate"], ["a", "b", "c", "d", "e"]):
        with pytest.raises(Invalid, match="Choose 2 to 4"):
            side_by_side.side_by_side(two, wrong)
    with pytest.raises(NotFound):
        side_by_side.side_by_side(two, ["pirate", "gone"])


def test_side_by_side_through_the_api_and_on_the_page(two):
    with TestClient(build_app(two), base_url="http://127.0.0.1:7860") as client:
        answer = client.get("/api/v1/adapters/side-by-side?id=pirate&id=orders&only_differences=true").json()
        assert [one["id"] for one in answer["adapters"]] == ["pirate", "orders"]
        assert all(line["differs"] for line in answer["lines"])
        assert client.get("/api/v1/adapters/side-by-side?id=pirate").status_code == 422
        assert client.get("/passports").status_code == 200
    assert "Rank" in passports.table(two, ["pirate", "orders"], True)
    assert "Choose one more" in passports.table(two, ["pirate"], False)
    assert "There is no adapter" in passports.table(two, ["pirate", "gone"], False)


def test_the_zip_holds_the_passport_as_it_is_now(two, monkeypatch):
    monkeypatch.setattr(written, "votes_of", lambda *_: {"votes": {"against": "base", "wins": 3}})
    with zipfile.ZipFile(io.BytesIO(b"".join(written.zip_chunks(two, "pirate")))) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("passport.json")]
        assert json.loads(archive.read(name))["votes"] == {"against": "base", "wins": 3}
        assert archive.testzip() is None


def test_a_forged_passport_lies_about_neither_base_nor_weights_nor_layers(two):
    folder = two.data.adapter("pirate")
    base = base_models.get_model(two, "builtin")
    forged = {
        "base_model": {"id": "other", "name": "Other", "fingerprint": base.fingerprint, "parameters": NASTY},
        "layers": 9999, "imported": {"at": "never", "repo": "trusted/one"}, "adapter_sha256": adapters.get_adapter(two, "pirate").sha256,
        "results": {"train_rows": NASTY, "step": [1], "heldout_loss": 0.5}, "verdict": "great", "parents": "x", "resolved": {"batch_size": {}},
    }  # fmt: skip
    write_json(folder.passport, forged)
    adapter = import_adapter(two, files_of(folder))
    told = written.passport(two, adapter.id)
    assert (told["base_model"]["id"], told["base_model"]["name"]) == ("builtin", base.name)
    assert told["layers"] == len(base_models.facts_of(base).linear_layers) // 7 * 2
    assert told["imported"]["at"].startswith("20")
    assert "repo" not in told["imported"]
    assert (told["version"], told["results"]) == (VERSION, {"heldout_loss": 0.5})
    assert told.keys().isdisjoint({"verdict"})
    assert "Brought from elsewhere" in adapters_view.details(adapter, told, "code")


def test_a_passport_of_a_megabyte_is_refused(two):
    folder = two.data.adapter("pirate")
    folder.passport.write_text(json.dumps({"notes": "x" * (1 << 20)}))
    with pytest.raises(TooLarge):
        import_adapter(two, files_of(folder))


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=8) | st.just(NASTY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*sorted(COUNTED), "name", "source", "sha256", "targets"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from([*OBJECTS, "name", "layers", "parents", "new_part", "run"]), anything, max_size=6)
)
def test_any_passport_at_all_is_drawn_and_written_again(two, brought):
    adapter = adapters.get_adapter(two, "pirate")
    told = cleaned(brought)
    json.dumps(told, allow_nan=False)
    assert "<img" not in adapters_view.details(adapter, told, "code")
    assert "<img" not in adapters_view.table([(adapter, told)])
