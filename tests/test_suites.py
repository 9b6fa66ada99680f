"""Suites: made by hand, from files and from held-out rows, kept whole, refused in words, and told over the API."""

import json

import pytest
from fastapi.testclient import TestClient

from studio import base_models, datasets
from studio.errors import BadInput, Conflict, Invalid, NotFound, StudioError, TooLarge
from studio.heldout import choose_heldout, content_hash
from studio.rows import read_rows
from studio.suites import lists
from studio.suites.builtin import add_builtin_suites
from studio.suites.heldout_rows import HeldoutRows, suite_of_heldout
from studio.suites.prompts import MOST_PROMPTS, read_prompts, sha256_of
from studio.suites.uploads import suite_from_upload
from studio.web import build_app
from tests.finished_runs import NASTY

ASKED = [
    {"text": "What is 2 + 2?", "expected": "4", "topic": "sums"},
    {"text": "Write JSON.", "system": "Be brief.", "checks": [{"kind": "json", "schema": {"type": "object"}}]},
    {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": NASTY},
        ]
    },
]


def file(tmp_path, name: str, content: str):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def test_a_suite_keeps_its_prompts_with_checks_and_expected_answers(studio):
    suite = lists.make_suite(studio, "  Sums\u202e ", ASKED)
    first, second, third = lists.prompts_of(lists.get_suite(studio, suite.id))
    assert suite.name == "Sums"
    assert (first.id, first.question, first.expected, first.topic) == ("1", "What is 2 + 2?", "4", "sums")
    assert first.applied == [{"kind": "exact"}]
    assert second.messages[0].role == "system"
    assert second.applied == [{"kind": "json", "schema": {"type": "object"}}]
    assert third.question == NASTY
    assert third.applied == []


def test_the_same_prompts_have_the_same_hash_and_another_check_another(studio):
    one = lists.make_suite(studio, "One", ASKED)
    two = lists.make_suite(studio, "Two", ASKED)
    assert one.sha256 == two.sha256
    changed = [{**ASKED[0], "expected": "5"}, *ASKED[1:]]
    assert lists.change_suite(studio, two.id, prompts=changed).sha256 != one.sha256
    assert one.sha256 == sha256_of(read_prompts(lists.get_suite(studio, one.id).prompts))


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        ([], "at least one prompt"),
        ("text", "not a list"),
        ([{"text": "a"}, {"text": ""}], "Prompt 2"),
        ([{"text": "a"}, {"tekst": "b"}], "Prompt 2"),
        ([{"text": "a", "checks": [{"kind": "contains", "text": ""}]}], "Prompt 1"),
        ([{"text": "a", "checks": [{"kind": "magic"}]}], "Prompt 1"),
        ([{"text": "half \ud800"}], "whole characters"),
        ([{"text": "a", "expected": "\udfff"}], "whole characters"),
        ([{"text": "a", "id": "x"}, {"text": "b", "id": "x"}], "id 'x'"),
        ([{"text": "a", "messages": [{"role": "user", "content": "b"}]}], "not both"),
        ([{"messages": [{"role": "assistant", "content": "b"}]}], "must be the user's"),
        ([{"text": "a", "checks": [{"kind": "json"}] * 21}], "Prompt 1"),
        ([{"text": "x" * 200_001}], "Prompt 1"),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_refused_by_its_number(studio, prompts, says):
    with pytest.raises(Invalid) as refused:
        lists.make_suite(studio, "Wrong", prompts)
    assert says in refused.value.problem
    assert not lists.list_suites(studio).items


def test_a_suite_has_a_largest_size(studio):
    with pytest.raises(TooLarge, match="1,001 prompts"):
        lists.make_suite(studio, "Many", [{"text": "a"}] * (MOST_PROMPTS + 1))
    with pytest.raises(TooLarge, match="bytes"):
        lists.make_suite(studio, "Long", [{"text": "x" * 190_000}] * 50)


def test_another_persons_suite_is_not_there(studio):
    suite = lists.make_suite(studio, "Mine", ASKED)
    for reach in (lists.get_suite, lists.copy_suite, lists.delete_suite, lists.change_suite):
        with pytest.raises(NotFound):
            reach(studio, suite.id, "somebody")
    assert not lists.list_suites(studio, "somebody").items


def test_the_suite_that_comes_with_the_studio_stays_and_can_be_copied(studio):
    add_builtin_suites(studio)
    add_builtin_suites(studio)
    [neutral] = lists.list_suites(studio).items
    assert (neutral.id, neutral.source, neutral.prompt_count) == ("neutral", "builtin", 40)
    assert all(prompt.checks and prompt.topic for prompt in lists.prompts_of(lists.get_suite(studio, "neutral")))
    for change in ({"name": "Other"}, {"prompts": ASKED}):
        with pytest.raises(Conflict):
            lists.change_suite(studio, "neutral", **change)
    with pytest.raises(Conflict):
        lists.delete_suite(studio, "neutral")
    assert lists.change_suite(studio, "neutral", after_training=True).after_training
    copy = lists.copy_suite(studio, "neutral")
    assert (copy.source, copy.sha256) == ("made", neutral.sha256)
    lists.delete_suite(studio, copy.id)


def test_prompts_are_read_from_json_lines_json_and_tables(studio, tmp_path):
    lines = "\n".join(json.dumps(prompt) for prompt in ASKED)
    table = "question,expected,topic,contains,matches\nWhat is 2 + 2?,4,sums,,\nName a colour.,,,red,r.d\n"
    of_lines = suite_from_upload(studio, file(tmp_path, "a.jsonl", lines), "a.jsonl")
    of_json = suite_from_upload(studio, file(tmp_path, "b.json", json.dumps(ASKED)), "b.json", "Named")
    of_table = suite_from_upload(studio, file(tmp_path, "c.csv", "\ufeff" + table), "c.csv")
    assert (of_lines.name, of_json.name, of_lines.sha256) == ("a", "Named", of_json.sha256)
    first, second = lists.prompts_of(lists.get_suite(studio, of_table.id))
    assert (first.question, first.expected, first.topic, first.checks) == ("What is 2 + 2?", "4", "sums", [])
    assert [check.kind for check in second.checks] == ["contains", "matches"]


def test_of_a_data_file_the_questions_are_asked_and_labels_are_expected_exactly(studio, tmp_path):
    rows = [{"prompt": f"Review {n}", "completion": ("good", "bad")[n % 2]} for n in range(12)]
    labels = suite_from_upload(studio, file(tmp_path, "d.jsonl", "\n".join(map(json.dumps, rows))), "d.jsonl")
    prompts = lists.prompts_of(lists.get_suite(studio, labels.id))
    assert [prompt.applied for prompt in prompts] == [[{"kind": "exact"}]] * 12
    rows = [{"instruction": f"Tell me about {n}.", "output": f"A long story about {n}, " * 5} for n in range(4)]
    free = suite_from_upload(studio, file(tmp_path, "e.json", json.dumps(rows)), "e.json")
    prompts = lists.prompts_of(lists.get_suite(studio, free.id))
    assert [(prompt.applied, prompt.expected is not None) for prompt in prompts] == [([], True)] * 4


@pytest.mark.parametrize(
    "content",
    [
        "",
        "just words",
        "{",
        "[1, 2]",
        "[" * 90_000,
        '{"text": 1}',
        "\0\0\0",
        '{"text": "a", "checks": "{"}',
        "a,b\n1,2\n",
    ],
)
def test_a_file_without_prompts_is_refused_in_words_and_leaves_nothing(studio, tmp_path, content):
    with pytest.raises(StudioError) as refused:
        suite_from_upload(studio, file(tmp_path, "x.jsonl", content), "x.jsonl")
    assert refused.value.problem
    assert refused.value.fix
    assert not lists.list_suites(studio).items
    assert not datasets.list_datasets(studio).items


def labels(studio, tmp_path, rows: int = 60):
    told = [{"prompt": f"Review number {n}", "completion": ("good", "bad")[n % 2]} for n in range(rows)]
    return datasets.add_upload(studio, file(tmp_path, "labels.jsonl", "\n".join(map(json.dumps, told))), "labels.jsonl")


def test_held_out_rows_are_those_that_a_training_holds_out_and_always_the_same(studio, tmp_path):
    data = labels(studio, tmp_path)
    suite = suite_of_heldout(studio, HeldoutRows(dataset=data.id, rows=50))
    again = suite_of_heldout(studio, HeldoutRows(dataset=data.id, rows=50))
    rows = read_rows(studio.data.dataset(data.id), 0, None)
    places = choose_heldout(
        [False] * 60, [content_hash(row) for row in rows], 3
    )  # 5 % of 60, as a training's plan says
    expected = {rows[place]["messages"][0]["content"] for place in places}
    prompts = lists.prompts_of(lists.get_suite(studio, suite.id))
    assert {prompt.question for prompt in prompts} == expected
    assert (suite.sha256, suite.dataset, suite.dataset_sha256) == (again.sha256, data.id, data.sha256)
    assert all(prompt.expected in ("good", "bad") for prompt in prompts)
    one = suite_of_heldout(studio, HeldoutRows(dataset=data.id, rows=1))
    assert {prompt.question for prompt in lists.prompts_of(lists.get_suite(studio, one.id))} < expected


def test_data_without_held_out_rows_or_questions_makes_no_suite(studio, tmp_path):
    few = labels(studio, tmp_path, rows=5)
    with pytest.raises(Conflict, match="held out"):
        suite_of_heldout(studio, HeldoutRows(dataset=few.id))
    text = datasets.add_upload(studio, file(tmp_path, "t.txt", "A long text. " * 400), "t.txt")
    with pytest.raises(Conflict, match="without questions"):
        suite_of_heldout(studio, HeldoutRows(dataset=text.id))
    for asked in (HeldoutRows(), HeldoutRows(dataset=few.id, run="x")):
        with pytest.raises(Invalid):
            suite_of_heldout(studio, asked)
    with pytest.raises(NotFound):
        suite_of_heldout(studio, HeldoutRows(dataset="gone"))


@pytest.fixture
def client(studio):
    base_models.add_builtin(studio)
    with TestClient(build_app(studio), base_url="http://127.0.0.1") as client:
        yield client


def test_suites_are_made_looked_up_changed_and_deleted_over_the_api(client, tmp_path):
    asked = {"name": "Sums", "prompts": ASKED[:2]}
    made = client.post("/api/v1/suites", json=asked, headers={"Idempotency-Key": "one"})
    assert made.status_code == 201
    twice = client.post("/api/v1/suites", json=asked, headers={"Idempotency-Key": "one"})
    assert twice.json()["id"] == made.json()["id"]
    id = made.json()["id"]
    assert "prompts" not in client.get("/api/v1/suites").json()["items"][0]
    changed = client.patch(f"/api/v1/suites/{id}", json={"name": "More", "after_training": True}).json()
    assert (changed["name"], changed["after_training"], changed["prompt_count"]) == ("More", True, 2)
    wrong = client.patch(f"/api/v1/suites/{id}", json={"prompts": [{"text": ""}]})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "prompts.0.messages")
    assert client.post(f"/api/v1/suites/{id}/copy").status_code == 201
    sent = {"file": ("p.jsonl", json.dumps({"text": "Hello?"}))}
    assert client.post("/api/v1/suites/upload", files=sent, data={"name": "Brought"}).json()["name"] == "Brought"
    assert client.post("/api/v1/suites/upload", files=sent, data={"nam": "x"}).status_code == 422
    assert client.delete(f"/api/v1/suites/{id}").status_code == 204
    assert client.get(f"/api/v1/suites/{id}").status_code == 404


def test_half_a_character_and_unknown_fields_are_refused_over_the_api(client):
    half = client.post(
        "/api/v1/suites",
        content=b'{"name": "a", "prompts": [{"text": "\\ud800"}]}',
        headers={"Content-Type": "application/json"},
    )
    assert half.status_code == 422
    half = client.post(
        "/api/v1/suites",
        content=b'{"name": "\\ud800", "prompts": [{"text": "a"}]}',
        headers={"Content-Type": "application/json"},
    )
    assert half.status_code in (201, 422)
    assert client.post("/api/v1/suites", json={"name": "a", "prompts": [{"text": "a"}], "more": 1}).status_code == 422


def test_a_table_with_a_cell_of_checks_that_is_no_json_is_refused(studio, tmp_path):
    with pytest.raises(BadInput, match="no JSON"):
        suite_from_upload(studio, file(tmp_path, "c.csv", "text,checks\na,[{]\n"), "c.csv")
