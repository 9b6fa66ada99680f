"""Encoded rows on disk: what comes back is what was put in, and what is damaged is made again."""

import json
import random

import numpy as np
import pytest

from jobs.workers import token_store
from jobs.workers.examples import Batches, Examples, read_examples
from jobs.workers.token_store import EncodedRow, TokenStore, open_store
from studio.errors import BadInput
from studio.folders import DatasetFolder
from studio.plan import read_plan
from studio.tokens import ChatTokenizer
from tests.small_tokenizer import CHATML, write_tokenizer
from tests.workers.training_place import conversation, resolved_for
from tests.workers.training_place import small_data as rows_of

pytestmark = pytest.mark.training


@pytest.fixture
def folder(tmp_path) -> DatasetFolder:
    return DatasetFolder(tmp_path / "data").create()


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    write_tokenizer(path, CHATML)
    return path


def write(folder: DatasetFolder, rows: list[dict]) -> None:
    folder.messages.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def numbers(count: int, sequences: int = 1) -> list[EncodedRow]:
    draw = random.Random(0)

    def sequence():
        length = draw.randrange(0, 30)
        return [draw.randrange(150_000) for _ in range(length)], [draw.random() < 0.5 for _ in range(length)]

    return [EncodedRow(row + 1, row % 7 == 0, row * 31, [sequence() for _ in range(sequences)]) for row in range(count)]


def read(folder, base, said=None, **resolved):
    plan = read_plan({"base_model": "x", "dataset": "y", "method": {"name": "lora"}, "training": {"batch_size": 4}})
    say = said.append if said is not None else lambda text: None
    return read_examples(folder, base, ChatTokenizer.load(base), resolved_for(plan, **resolved), 0, say)


@pytest.mark.parametrize("sequences", [1, 2])
def test_every_row_comes_back_as_it_was_written(folder, sequences):
    rows = numbers(700, sequences)
    store = open_store(folder, {"kind": "numbers"}, lambda: rows, lambda text: None, per_row=sequences)
    assert len(store) == 700
    assert store.heldout.tolist() == [row.heldout for row in rows]
    given = [(row, sequence) for row in rows for sequence in row.sequences]
    for place, (row, (ids, trained)) in enumerate(given):
        found = store.example(place, 10**9)
        assert (found.row, found.ids.tolist(), found.trained.tolist(), found.cut) == (row.row, ids, trained, 0)
        assert found.trained_tokens == store.learned[place]


def test_a_row_is_cut_when_it_is_read_so_that_another_length_needs_no_encoding(folder):
    rows = numbers(50)
    store = open_store(folder, {}, lambda: rows, lambda text: None)
    learned = store.learned_within(12)
    for place, row in enumerate(rows):
        ids, trained = row.sequences[0]
        found = store.example(place, 12)
        assert found.ids.tolist() == ids[:12]
        assert found.cut == max(0, len(ids) - 12)
        assert learned[place] == sum(trained[1:12]) == found.trained_tokens


def test_rows_are_encoded_once_for_all_who_ask_and_at_any_length(folder, base, monkeypatch):
    write(folder, rows_of())
    first = read(folder, base, sequence_length=128)
    monkeypatch.setattr(ChatTokenizer, "encode", None)  # nothing encodes any more
    again, shorter = read(folder, base, sequence_length=128), read(folder, base, sequence_length=40)
    assert [each.ids.tolist() for each in first.train] == [each.ids.tolist() for each in again.train]
    assert max(map(len, shorter.train)) == 40
    assert shorter.cut_rows
    assert not first.cut_rows


@pytest.mark.parametrize("changed", ["rows", "tokenizer_config.json", "chat_template.jinja"])
def test_whatever_decides_the_tokens_makes_another_encoding(folder, base, changed):
    write(folder, rows_of())
    read(folder, base)
    if changed == "rows":
        write(folder, rows_of(25))
    else:
        path = base / changed
        path.write_text((path.read_text() if path.exists() else CHATML) + " ")
    read(folder, base)
    assert len(folder.encodings()) == 2


def test_which_answers_are_learned_decides_too(folder, base):
    turns = [turn for row in rows_of()[:2] for turn in row["messages"]]
    turns[1]["learn"] = True
    write(folder, [{"row": row, "line": row, "messages": turns, "heldout": False} for row in range(1, 5)])
    tokenizer = ChatTokenizer.load(base)
    for place, choice in enumerate(["all", "last", "marked"], 1):
        data = read(folder, base, answers=choice, heldout_rows=0, sequence_length=512)
        assert len(folder.encodings()) == place
        expected = tokenizer.encode(turns, answers=choice)
        assert [each.trained.tolist() for each in data.train] == [expected.trained] * 4


@pytest.mark.parametrize("name", [*token_store.TYPES, "manifest"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_encoding_is_made_again(folder, base, name, damage):
    write(folder, rows_of())
    before = read(folder, base)
    path = folder.encodings()[0] / ("manifest.json" if name == "manifest" else f"{name}.bin")
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[:-1] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    said = []
    after = read(folder, base, said)
    assert any("encoded" in line for line in said)
    assert [each.ids.tolist() for each in after.train] == [each.ids.tolist() for each in before.train]
    TokenStore(folder.encodings()[0])


def test_an_encoding_of_other_data_that_was_copied_here_is_not_taken(folder, base, tmp_path):
    write(folder, rows_of())
    read(folder, base)
    mine = folder.encodings()[0]
    other = DatasetFolder(tmp_path / "other").create()
    write(other, rows_of(40))
    read(other, base)
    other.encodings()[0].rename(tmp_path / "theirs")
    for path in mine.iterdir():
        path.unlink()
    for path in (tmp_path / "theirs").iterdir():
        path.rename(mine / path.name)
    assert len(read(folder, base).train) == 20


def test_a_full_disk_leaves_nothing_half_written(folder, monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_store.File, "finish", full)
    with pytest.raises(OSError, match="No space"):
        open_store(folder, {}, lambda: numbers(5), lambda text: None)
    assert {path.name for path in folder.path.iterdir()} <= {"encoding.lock"}


def test_only_the_encodings_used_last_are_kept(folder):
    for number in range(token_store.KEPT + 3):
        open_store(folder, {"number": number}, lambda: numbers(3), lambda text: None).close()
    assert len(folder.encodings()) == token_store.KEPT
    said = []
    open_store(folder, {"number": number}, lambda: numbers(3), said.append)
    assert not said, "the newest is still there"


def test_an_encoding_that_is_thrown_away_can_be_read_on(folder):
    store = open_store(folder, {}, lambda: numbers(3), lambda text: None)
    for path in store.path.iterdir():
        path.unlink()
    assert store.example(2, 100).row == 3


def test_a_long_encoding_says_how_far_it_is(folder, monkeypatch):
    monkeypatch.setattr(token_store, "SAY_SECONDS", 0)
    said = []
    open_store(folder, {}, lambda: numbers(600), said.append, total=600)
    assert "Encoding: 256 of 600 rows." in said


def test_a_row_that_cannot_be_written_is_named(folder, base):
    (base / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if 'twelve' in m.content %}{{ raise_exception('no twelve') }}{% endif %}{{ m.content }}{% endfor %}"
    )
    write(folder, [*rows_of(), conversation(31, "How many?", "twelve")])
    with pytest.raises(BadInput, match="Row 31: .*no twelve"):
        read(folder, base)
    assert not folder.encodings()


def test_the_plain_way_over_the_rows_gives_the_same_choice(folder, base):
    """What is trained on, measured on, cut and left out, against a loop over all rows."""
    rows = [*rows_of(60, heldout=0), conversation(61, "Long? " * 40, "Yes."), conversation(62, "a" * 300, "b")]
    write(folder, rows)
    data = read(folder, base, sequence_length=40, heldout_rows=7)
    tokenizer = ChatTokenizer.load(base)
    encoded = {row["row"]: tokenizer.encode(row["messages"], max_length=40) for row in rows}
    left_out = [number for number, each in encoded.items() if not any(each.trained[1:])]
    assert data.unlearnable == left_out
    assert left_out
    assert data.cut_tokens == sum(each.cut for each in encoded.values())
    assert data.cut_rows == sum(each.cut > 0 for each in encoded.values())
    drawn = set(random.Random(0).sample(range(62), 7))
    assert [each.row for each in data.heldout] == [n for n in encoded if n - 1 in drawn and n not in left_out]
    assert [each.row for each in data.train] == [n for n in encoded if n - 1 not in drawn and n not in left_out]
    for each in data.train:
        assert each.ids.tolist() == encoded[each.row].ids
        assert each.trained.tolist() == encoded[each.row].trained
    assert data.train_tokens == sum(map(len, data.train))
    assert data.heldout_tokens == sum(each.trained_tokens for each in data.heldout)
    first = next(each.row for each in data.heldout)
    assert rows[data.asked[0]]["row"] == first


def test_an_epoch_has_every_row_once_in_an_order_that_its_number_decides(folder):
    store = open_store(folder, {}, lambda: numbers(23), lambda text: None)
    everything = choose_all(store)
    batches = [[each.row for each in batch] for batch in Batches(everything, 5, 3, 0)]
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
    assert sorted(sum(batches, [])) == list(range(1, 24))
    order = list(range(23))
    random.Random("3/0").shuffle(order)
    assert sum(batches, []) == [place + 1 for place in order]
    assert [[each.row for each in batch] for batch in Batches(everything, 5, 3, 1)] != batches


def choose_all(store):
    return Examples(store, np.arange(len(store)), 10**9)
