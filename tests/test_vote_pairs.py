"""Votes as preference pairs: what is exported, what is left out, and that the upload takes it."""

import json

import pytest
from fastapi.testclient import TestClient

from studio import votes
from studio.errors import Conflict
from studio.records import BlindComparison, Person
from studio.rows import read_rows
from studio.vote_pairs import lines, make_dataset, preference_pairs
from studio.web import build_app
from tests.repeating_studio import add_adapter, add_base
from tests.voting import voted


@pytest.fixture
def voting(studio):
    add_base(studio, "small")
    for id in ("pirate", "judge"):
        add_adapter(studio, id, "small", "local")
    with studio.database.write() as session:
        session.add_all([Person(id="ann", name="Ann"), Person(id="bob", name="Bob")])
    return studio


def said(text):
    return [{"role": "assistant", "content": text}]


def test_the_best_answer_is_chosen_over_each_other_one(voting):
    voted(voting, "B", (None, "pirate", "judge"), answers=["one", "two", "three"], settings={"system": "Be short."})
    prompt = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hello"}]
    rows = preference_pairs(voting, "small").rows
    assert [(row["chosen"], row["rejected"]) for row in rows] == [
        (said("two"), said("one")),
        (said("two"), said("three")),
    ]
    assert all(row["prompt"] == prompt for row in rows)


def test_what_prefers_nothing_is_left_out_and_counted(voting):
    voted(voting, "tie")
    voted(voting, "bad")
    voted(voting, "A", answers=["same ", "same"])
    voted(voting, "A", answers=["words", "  "])
    voted(voting, "A", answers=["", "words"])
    disputed = voted(voting, "A", answers=["mine", "hers"])
    votes.cast(voting, disputed, "B", "ann")
    votes.reveal(voting, disputed, "ann")
    pairs = preference_pairs(voting, "small")
    assert pairs.rows == []
    assert pairs.left_out() == {"ties": 1, "bad": 1, "split": 1, "same": 1, "empty": 2}
    with pytest.raises(Conflict, match="nothing to learn"):
        make_dataset(voting, "small")
    assert list(voting.data.incoming.iterdir()) == []


def test_the_majority_decides(voting):
    id = voted(voting, "A", answers=["mine", "theirs"])
    for person in ("ann", "bob"):
        voted(voting, "B", person=person, on=id)
    [row] = preference_pairs(voting, "small").rows
    assert (row["chosen"], row["rejected"]) == (said("theirs"), said("mine"))


def test_a_longer_conversation_parts_where_its_answers_do(voting):
    def turn(question, *answers):
        told = [{"text": text, "stopped_by": "end", "proof": {}} for text in answers]
        return {"key": question, "question": question, "answers": told}

    voted(voting, "B", turns=[turn("hello", "Hi.", "Hi."), turn("tea?", "No.", "Aye!"), turn("why?", "So.", "Arr!")])
    [row] = preference_pairs(voting, "small").rows
    assert [message["content"] for message in row["prompt"]] == ["hello", "Hi.", "tea?"]
    assert [message["content"] for message in row["chosen"]] == ["Aye!", "why?", "Arr!"]
    assert [message["content"] for message in row["rejected"]] == ["No.", "why?", "So."]


def test_a_vote_that_is_not_closed_is_not_exported(voting):
    id = voted(voting, "tie")
    with voting.database.write() as session:
        session.get(BlindComparison, id).team = True
    votes.cast(voting, id, "B", "ann")
    assert preference_pairs(voting, "small").rows == []


def test_the_pairs_become_a_data_set_like_every_upload(voting):
    for number in range(3):
        voted(
            voting, "B", question=f'question {number} \u2028 "quoted"', answers=[f"plain {number}", f"Arr {number} 🏴"]
        )
    dataset = make_dataset(voting, "small", "What we like")
    assert (dataset.name, dataset.rows, dataset.format, dataset.kind) == ("What we like", 3, "preference", "preference")
    row = next(iter(read_rows(voting.data.dataset(dataset.id), 0, 1)))
    assert "Arr 0 🏴" in json.dumps(row, ensure_ascii=False)


def test_results_and_pairs_are_there_over_the_api(voting):
    voted(voting, "B", answers=["plain", "Arr"])
    voted(voting, "tie")
    with TestClient(build_app(voting), base_url="http://127.0.0.1:7860") as client:
        found = client.get("/api/v1/votes/results?base_model=small").json()
        assert found["votes"] == 2
        assert found["pairs"][0]["says"] == "too few"
        exported = client.get("/api/v1/votes/export?base_model=small")
        assert [json.loads(line)["chosen"] for line in exported.text.splitlines()] == [said("Arr")]
        assert (exported.headers["x-left-out-ties"], exported.headers["x-left-out-bad"]) == ("1", "0")
        assert exported.text == "".join(lines(preference_pairs(voting, "small")))
        made = client.post("/api/v1/votes/dataset", json={"base_model": "small"})
        assert (made.status_code, made.json()["name"]) == (201, "Preferences from votes")
        assert client.get("/api/v1/votes/results?base_model=gone").status_code == 404
        assert client.post("/api/v1/votes/dataset", json={"base_model": "gone"}).status_code == 404
