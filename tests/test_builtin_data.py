"""The built-in data sets and the generator behind the built-in model: rebuilt, disjoint, and clean."""

import csv
import io
import itertools
import json

import pytest

from jobs.workers import builtin_datasets
from jobs.workers.builtin_datasets import FOLDER, SETS, files, name_of, rows_of
from jobs.workers.pretrain_text import stream

INDEX = {entry["id"]: entry for entry in json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))}


def prompts(made_by, rows):
    return {made_by.prompt_of(row).lower().strip(" .?!") for row in rows}


def test_the_files_are_what_the_generator_writes():
    written = files()
    assert set(written) == {path.name for path in FOLDER.iterdir()}
    for name, content in written.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == content, (
            f"run python -m jobs.workers.builtin_datasets: {name}"
        )


@pytest.mark.parametrize("made_by", SETS, ids=name_of)
class TestEverySet:
    def test_no_held_out_prompt_is_trained_on(self, made_by):
        train, held = rows_of(made_by)
        assert not prompts(made_by, train) & prompts(made_by, held)
        assert len(held) >= 0.06 * len(train)

    def test_its_size_suits_two_minutes_on_a_laptop(self, made_by):
        assert 150 <= len(rows_of(made_by)[0]) <= 600

    def test_its_prompts_are_not_a_handful_repeated(self, made_by):
        train, _ = rows_of(made_by)
        assert len(prompts(made_by, train)) >= 0.6 * len(train)

    def test_the_index_counts_its_rows_and_shows_held_out_prompts(self, made_by):
        train, held = rows_of(made_by)
        entry = INDEX[name_of(made_by)]
        assert (entry["rows"], entry["heldout_rows"]) == (len(train), len(held))
        assert len(entry["example_prompts"]) == 5
        assert set(entry["example_prompts"]) <= {made_by.prompt_of(row) for row in held}

    def test_nothing_of_a_pattern_is_left_in_the_text(self, made_by):
        for row in itertools.chain(*rows_of(made_by)):
            text = json.dumps(row)
            assert "$" not in text
            assert "|" not in text.replace(" | topic: ", "")


def test_the_formats_differ():
    assert len({entry["format"] for entry in INDEX.values()}) == len(INDEX) >= 3


def test_every_order_is_json_with_the_same_five_keys():
    orders = json.loads((FOLDER / "orders_to_json.json").read_text(encoding="utf-8"))
    assert {tuple(json.loads(order["output"])) for order in orders} == {("drink", "size", "count", "milk", "to_go")}


def test_every_review_is_labelled_in_the_same_form():
    rows = list(csv.DictReader(io.StringIO((FOLDER / "review_labels.csv").read_text(encoding="utf-8"))))
    assert {row["completion"].split(" | ")[0] for row in rows} == {"mood: positive", "mood: negative"}
    assert len({row["completion"] for row in rows}) == 10


def test_the_robot_reads_back_what_it_stored():
    conversations = json.loads((FOLDER / "two_turn_robot.json").read_text(encoding="utf-8"))
    stored = [turns for turns in (row["conversations"] for row in conversations) if "Memory says" in turns[3]["value"]]
    assert len(stored) > 100
    for turns in stored:
        value = turns[1]["value"].split(" = ")[1].removesuffix(". BOOP.")
        assert value in turns[3]["value"]


def test_the_same_seed_tells_the_same_conversations():
    assert list(itertools.islice(stream(7), 50)) == list(itertools.islice(stream(7), 50))


def test_generated_conversations_alternate_and_leave_nothing_open():
    for messages in itertools.islice(stream(11), 3000):
        roles = [message["role"] for message in messages if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        for message in messages:
            assert message["content"].strip()
            assert "$" not in message["content"]
            assert "|" not in message["content"]


def test_most_generated_conversations_are_told_once():
    told = [json.dumps(messages) for messages in itertools.islice(stream(3), 5000)]
    assert len(set(told)) > 0.85 * len(told)


def test_someone_in_danger_is_told_where_help_is():
    from jobs.workers.pretrain_world import chat
    from jobs.workers.pretrain_world.wording import Voice

    voice = Voice("danger")
    for _ in range(200):
        _, answer = chat.danger(voice)[0]
        assert "crisis line" in answer
        assert "emergency number" in answer


def test_the_generator_needs_nothing_but_python():
    import subprocess
    import sys

    code = "import sys, jobs.workers.builtin_datasets; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=builtin_datasets.FOLDER.parents[2])


def test_what_is_asked_to_be_copied_is_copied():
    from jobs.workers.pretrain_world import copying
    from jobs.workers.pretrain_world.wording import Voice

    voice = Voice("copy")
    for _ in range(500):
        ((asked, answered),) = copying.copied(voice, ["apple", "io", "=", "Tom"])
        assert asked.split(": ", 1)[1].strip() == answered
