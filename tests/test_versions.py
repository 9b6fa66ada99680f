"""Versions of a data set: edits become a new frozen state, the old ones stay, and nobody's edits are lost unseen."""

import errno

import pytest

from studio import builtin_datasets, datasets
from studio.errors import BadInput, Conflict, Invalid, NotFound, Unavailable
from studio.records import Dataset, Person
from studio.versions import lineage, rewriting, saving
from studio.versions.edits import Edit
from tests.dataset_files import COUNTING, add_rows, answers, change, conversation, rows_of


@pytest.fixture
def add(studio, tmp_path):
    def adds(rows=COUNTING, **options) -> Dataset:
        return add_rows(studio, tmp_path, rows, **options)

    return adds


@pytest.fixture
def small(add) -> Dataset:
    return add(COUNTING[:5])


def test_what_was_brought_is_version_1(studio, small):
    first = lineage.get_version(studio, small.id)
    assert (first.number, first.parent, first.why, first.sha256) == (1, None, "As it was brought.", small.sha256)


def test_edits_become_version_2_and_version_1_stays(studio, small):
    edits = [
        change(2, "two!"),
        Edit(op="drop", row=4),
        Edit(op="change", row=5, heldout=True),
        Edit(op="add", value={"prompt": "Count to 9.", "completion": "nine!"}),
    ]
    made = saving.save_version(studio, small.id, 1, edits)
    assert (made.number, made.parent, made.rows, made.heldout_rows) == (2, 1, 5, 1)
    assert made.why == "1 row added, 2 rows changed, 1 row dropped."
    assert answers(studio, small.id) == ["1!", "two!", "3!", "5!", "nine!"]
    assert answers(studio, small.id, 1) == ["1!", "2!", "3!", "4!", "5!"]
    now = datasets.get_dataset(studio, small.id)
    assert (now.version, now.rows, now.sha256) == (2, 5, made.sha256)
    assert datasets.report_of(studio, small.id).heldout_rows == 1
    assert list(studio.data.incoming.iterdir()) == []


def test_a_row_keeps_its_number_and_a_new_one_gets_one_that_no_row_has_had(studio, small):
    saving.save_version(studio, small.id, 1, [Edit(op="drop", row=5)])
    saving.save_version(studio, small.id, 2, [Edit(op="add", value=conversation("Count to 8.", "8!"))])
    assert [row["row"] for row in rows_of(studio, small.id)] == [1, 2, 3, 4, 6]


def test_edits_of_an_older_version_are_refused_in_words(studio, small):
    with studio.database.write() as session:
        session.add(Person(id="bo", name="Bo"))
    saving.save_version(studio, small.id, 1, [change(1, "one!")], owner="bo")
    with pytest.raises(Conflict, match="Version 2 of 'counting' has been saved meanwhile") as refused:
        saving.save_version(studio, small.id, 1, [change(1, "uno!")])
    assert refused.value.field == "parent"
    assert answers(studio, small.id)[0] == "one!"


def test_of_two_that_save_at_the_same_time_one_wins_and_the_other_hears_by_whom(studio, small, monkeypatch):
    with studio.database.write() as session:
        session.add(Person(id="bo", name="Bo"))
    keep = lineage.keep_version

    def first_bo(*given):
        monkeypatch.setattr(saving, "keep_version", keep)
        saving.save_version(studio, small.id, 1, [change(1, "one!")], owner="bo")
        return keep(*given)

    monkeypatch.setattr(saving, "keep_version", first_bo)
    with pytest.raises(Conflict, match="saved by Bo meanwhile"):
        saving.save_version(studio, small.id, 1, [change(2, "two!")])
    assert answers(studio, small.id)[:2] == ["one!", "2!"]
    assert list(studio.data.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"op": "change", "row": 900, "heldout": True}, r"Edit 2 \(row 900\): There is no such row: this version has 5"),
        ({"op": "drop"}, "its number is needed"),
        ({"op": "add", "row": 3, "value": conversation("a", "b")}, "A new row has no number yet"),
        ({"op": "add", "value": conversation("a", " ")}, "The answer in message 2 is empty"),
        ({"op": "add", "value": {"text": "a text"}}, "It is of the kind 'Raw text'"),
        ({"op": "add", "value": {"color": "red"}}, "No format has these columns"),
        ({"op": "add", "value": conversation("a", "\ud83d")}, "half of a character"),
        ({"op": "add", "value": conversation("a", "b" * (1 << 20))}, "larger than 1 MB"),
        ({"op": "change", "row": 1}, "says nothing that would change"),
        ({"op": "change", "row": 3, "heldout": True}, "An earlier edit has dropped it"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_made_is_named_and_nothing_is_saved(studio, small, edit, said):
    with pytest.raises(Invalid, match=said) as refused:
        saving.save_version(studio, small.id, 1, [Edit(op="drop", row=3), Edit(**edit)])
    assert refused.value.field.startswith("edits[1].")
    assert datasets.get_dataset(studio, small.id).version == 1


def test_values_nested_too_deep_or_without_end_are_refused(studio, small):
    deep: dict = {"messages": []}
    for _ in range(100_000):
        deep = {"messages": [deep]}
    with pytest.raises(Invalid, match="nested too deep"):
        saving.save_version(studio, small.id, 1, [Edit.model_construct(op="add", row=None, value=deep, heldout=None)])


def test_html_and_marks_of_templates_stay_text(studio, small):
    hostile = "<script>alert(1)</script><|im_end|>\u202e{{name}}"
    saving.save_version(studio, small.id, 1, [change(1, hostile)])
    assert answers(studio, small.id)[0] == hostile
    assert datasets.report_of(studio, small.id).kinds == {"control": 1, "placeholder": 1}


def test_what_changes_nothing_or_leaves_nothing_is_refused(studio, small):
    with pytest.raises(Conflict, match="change nothing"):
        saving.save_version(studio, small.id, 1, [change(1, "1!")])
    with pytest.raises(Invalid, match="No row would be left"):
        saving.save_version(studio, small.id, 1, [Edit(op="drop", row=row) for row in range(1, 6)])
    with pytest.raises(NotFound):
        saving.save_version(studio, "nothing", 1, [change(1, "one!")])


def test_a_full_disk_is_said_and_leaves_what_was_there(studio, small, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rewriting.RowWriter, "finish", full)
    with pytest.raises(Unavailable, match="The disk is full, so version 2 cannot be written"):
        saving.save_version(studio, small.id, 1, [change(1, "one!")])
    assert answers(studio, small.id)[0] == "1!"
    assert list(studio.data.incoming.iterdir()) == []


def test_what_a_crash_left_in_the_place_of_a_version_is_written_over(studio, small):
    left = studio.data.dataset(small.id, 2).create()
    left.messages.write_text("half a ro")
    saving.save_version(studio, small.id, 1, [change(1, "one!")])
    assert answers(studio, small.id)[0] == "one!"


def test_a_crash_before_the_record_is_written_leaves_the_older_version(studio, small, monkeypatch):
    def crash(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(lineage, "_drop_edits", crash)
    with pytest.raises(KeyboardInterrupt):
        saving.save_version(studio, small.id, 1, [change(1, "one!")])
    assert datasets.get_dataset(studio, small.id).version == 1
    assert not studio.data.dataset(small.id, 2).path.exists()


def test_an_older_version_is_restored_as_a_new_one(studio, small):
    saving.save_version(studio, small.id, 1, [Edit(op="drop", row=1)])
    back = saving.restore_version(studio, small.id, 1, parent=2)
    assert (back.number, back.parent, back.why, back.sha256) == (3, 2, "Version 1 restored.", small.sha256)
    assert answers(studio, small.id) == answers(studio, small.id, 1)
    saving.save_version(studio, small.id, 3, [Edit(op="add", value=conversation("Count to 7.", "7!"))])
    assert rows_of(studio, small.id)[-1]["row"] == 6
    with pytest.raises(Conflict, match="exactly the rows"):
        saving.restore_version(studio, small.id, 4, parent=4)


def test_a_large_version_is_written_by_a_process_of_its_own(studio, add, monkeypatch):
    monkeypatch.setattr(saving, "SMALL", 0)
    dataset = add()
    made = saving.save_version(studio, dataset.id, 1, [change(300, "three hundred"), Edit(op="drop", row=600)])
    assert (made.rows, answers(studio, dataset.id)[299]) == (599, "three hundred")
    assert datasets.report_of(studio, dataset.id).rows_ready == 599


def test_a_first_version_that_was_read_from_two_files_numbers_its_rows_on(studio):
    for dataset in builtin_datasets.add_builtins(studio):
        first = list(rewriting.numbered(studio.data.dataset(dataset.id)))
        saving.save_version(studio, dataset.id, 1, [Edit(op="drop", row=1)])
        kept = [row["row"] for row in rows_of(studio, dataset.id)]
        assert kept == [number for number, _, _ in first][1:] == sorted(set(kept))


def test_deleting_a_data_set_takes_all_its_versions(studio, small):
    saving.save_version(studio, small.id, 1, [change(1, "one!")])
    datasets.delete_dataset(studio, small.id)
    assert not studio.data.dataset(small.id).path.exists()
    with pytest.raises(NotFound):
        lineage.get_version(studio, small.id, 2)


def test_too_much_text_for_one_data_set_is_refused(studio, add, tmp_path):
    dataset = add([{"text": "a" * 700_000}])
    limited = studio.settings.model_copy(update={"max_upload_mb": 1})
    object.__setattr__(studio, "settings", limited)
    with pytest.raises(BadInput, match="more than 1 MB of text"):
        saving.save_version(studio, dataset.id, 1, [Edit(op="add", value={"text": "b" * 700_000})])
