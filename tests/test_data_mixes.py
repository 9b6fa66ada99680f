"""Mixes of data sets, and rows held out by share, count or column: the same rows whenever it is done, whatever is added."""

import pytest
from fastapi.testclient import TestClient

from studio import datasets
from studio.errors import Conflict, Invalid
from studio.mixes.making import make_mix, rows_of_mix
from studio.mixes.recipe import Part, copies
from studio.versions.edits import Edit
from studio.versions.holding_out import hold_out
from studio.versions.lineage import get_version
from studio.versions.saving import save_version
from studio.web import build_app
from tests.dataset_files import COUNTING, add_rows, conversation, rows_of


def asked(studio, id: str, heldout: bool | None = None) -> list[str]:
    return [row["messages"][0]["content"] for row in rows_of(studio, id) if heldout in (None, row["heldout"])]


@pytest.fixture
def counting(studio, tmp_path):
    return add_rows(studio, tmp_path, COUNTING[:400], name="Counting")


@pytest.fixture
def talk(studio, tmp_path):
    rows = [{**conversation(f"Hi {number}", "Hello!"), "heldout": number < 2} for number in range(10)]
    return add_rows(studio, tmp_path, rows, name="Talk")


def test_a_mix_has_each_part_by_its_weight_and_names_what_it_was_made_from(studio, counting, talk):
    made = make_mix(studio, "Both", [Part(dataset=counting.id, weight=0.5), Part(dataset=talk.id, weight=2)])
    said = asked(studio, made.id)
    half = [words for words in said if words.startswith("Count")]
    assert 150 < len(half) < 250
    assert len(set(half)) == len(half)
    assert sorted(set(said) - set(half)) == sorted(f"Hi {number}" for number in range(10))
    assert said.count("Hi 5") == 2
    assert said.count("Hi 0") == 1  # held out, and so never twice
    assert (made.source, made.kind, made.heldout_rows) == ("mix", "conversations", 2)
    assert get_version(studio, made.id).why == "Mixed from Counting (version 1) × 0.5, Talk (version 1) × 2."
    assert rows_of_mix(studio, [Part(dataset=counting.id, weight=0.5), Part(dataset=talk.id, weight=2)]) == [200, 20]


def test_a_mix_made_again_is_the_same_and_a_higher_weight_keeps_the_rows_of_a_lower(studio, counting):
    half, again, more = (make_mix(studio, "", [Part(dataset=counting.id, weight=weight)]) for weight in (0.5, 0.5, 0.7))
    assert half.sha256 == again.sha256
    assert set(asked(studio, half.id)) < set(asked(studio, more.id))
    assert copies(0, 0.001) == 1
    assert [copies(2**64 - 1, weight) for weight in (0.999, 1, 2.5)] == [0, 1, 2]


def test_parts_that_do_not_go_together_are_refused_at_their_place(studio, tmp_path, counting):
    text = add_rows(studio, tmp_path, [{"text": "Once upon a time"}], name="Story")
    for parts, field in (
        ([Part(dataset=counting.id), Part(dataset=text.id)], "parts[1].dataset"),
        ([Part(dataset=counting.id), Part(dataset=counting.id)], "parts[1].dataset"),
        ([Part(dataset="nope")], "parts[0].dataset"),
        ([Part(dataset=counting.id, version=7)], "parts[0].dataset"),
        ([], "parts"),
    ):
        with pytest.raises(Invalid) as refused:
            make_mix(studio, "", parts)
        assert refused.value.field == field


def test_a_growing_set_keeps_the_rows_that_were_held_out_by_share(studio, counting):
    first = hold_out(studio, counting.id, 1, share=0.1)
    held = set(asked(studio, counting.id, heldout=True))
    assert first.why == "0.1 of the rows held out, chosen by content."
    assert 20 <= len(held) <= 60
    added = [Edit(op="add", value=COUNTING[number]) for number in range(400, 600)]
    save_version(studio, counting.id, 2, added)
    hold_out(studio, counting.id, 3, share=0.1)
    assert {words for words in asked(studio, counting.id, heldout=True) if int(words[9:-1]) <= 400} == held


def test_by_count_the_rows_that_are_held_out_stay_and_others_join_them(studio, talk):
    version = hold_out(studio, talk.id, 1, count=5)
    held = asked(studio, talk.id, heldout=True)
    assert (version.heldout_rows, version.changed) == (5, 3)
    assert {"Hi 0", "Hi 1"} < set(held)
    with pytest.raises(Conflict, match="held out already"):
        hold_out(studio, talk.id, 2, count=5)


@pytest.mark.parametrize(
    "amount", [{}, {"share": 0.0}, {"share": 1.0}, {"count": 10}, {"count": 0}, {"share": 0.5, "count": 2}]
)
def test_an_amount_that_cannot_be_held_out_is_refused(studio, talk, amount):
    with pytest.raises(Invalid):
        hold_out(studio, talk.id, 1, **amount)


def test_a_column_that_parts_the_rows_says_which_are_held_out(studio, tmp_path):
    rows = [{"prompt": f"{number}?", "completion": "yes", "split": part, "fold": fold} for number, part, fold in
            ((1, "train", "dev"), (2, "Test", "x"), (3, "validation", "x"), (4, "trained", "x"))]  # fmt: skip
    made = add_rows(studio, tmp_path, rows)
    assert asked(studio, made.id, heldout=True) == ["2?", "3?"]
    report = datasets.report_of(studio, made.id)
    assert report.reason.endswith("4 of 4 rows have prompt and completion. 2 held out by the column 'split'.")
    assert report.unused_columns == ["fold"]
    assert asked(studio, add_rows(studio, tmp_path, rows, heldout_column="fold").id, heldout=True) == ["1?"]


def test_the_api_mixes_and_holds_out(studio, counting, talk):
    client = TestClient(build_app(studio), base_url="http://127.0.0.1:7860")
    made = client.post(
        "/api/v1/mixes", json={"name": "Both", "parts": [{"dataset": counting.id}, {"dataset": talk.id, "weight": 3}]}
    )
    assert (made.status_code, made.json()["rows"]) == (201, 400 + 3 * 8 + 2), made.text
    held = client.post(f"/api/v1/datasets/{talk.id}/hold-out", json={"version": 1, "count": 4})
    assert (held.status_code, held.json()["heldout_rows"]) == (201, 4), held.text
    assert client.post("/api/v1/mixes", json={"parts": [{"dataset": talk.id, "weight": 0}]}).status_code == 422
