"""Drafts of the next version, the difference between versions, search, export, and mending from an answer."""

import csv
import io
import json

import pytest

from studio import datasets
from studio.errors import Conflict, Invalid, NotFound
from studio.versions import difference, drafts, exporting, lineage, mending, saving, searching
from studio.versions.edits import Edit
from tests.dataset_files import COUNTING, add_rows, answers, change, conversation, rows_of

PAIRS = [{"prompt": f"Say {number}.", "chosen": f"{number}!", "rejected": "No."} for number in range(3)]


@pytest.fixture
def small(studio, tmp_path):
    return add_rows(studio, tmp_path, COUNTING[:5])


def test_edits_wait_on_disk_are_taken_back_and_saved_together(studio, small):
    drafts.add_edits(studio, small.id, 1, [change(1, "one!")])
    drafts.add_edits(studio, small.id, 1, [Edit(op="drop", row=2)])
    drafts.add_edits(studio, small.id, 1, [change(3, "three!")])
    assert [edit.op for edit in drafts.take_back(studio, small.id).edits] == ["change", "drop"]
    made = drafts.save_draft(studio, small.id)
    assert (made.why, answers(studio, small.id)) == ("1 row changed, 1 row dropped.", ["one!", "3!", "4!", "5!"])
    assert drafts.draft_of(studio, small.id).kept == []
    with pytest.raises(Conflict, match="No edit waits"):
        drafts.save_draft(studio, small.id)


def test_any_edit_can_be_taken_back_by_its_id_but_only_ones_own(studio, small):
    draft = drafts.add_edits(studio, small.id, 1, [change(1, "one!"), change(2, "two!")])
    left = drafts.take_back(studio, small.id, draft.kept[0].id)
    assert [edit.row for edit in left.edits] == [2]
    with pytest.raises(NotFound):
        drafts.take_back(studio, small.id, left.kept[0].id, owner="another")


def test_an_edit_that_cannot_be_made_does_not_enter_the_draft(studio, small):
    with pytest.raises(Invalid, match="no such row"):
        drafts.add_edits(studio, small.id, 1, [Edit(op="drop", row=6)])
    assert drafts.waiting(studio, small.id) == 0


def test_a_draft_of_an_older_version_is_kept_and_brought_over_without_losing_an_edit(studio, small):
    drafts.add_edits(studio, small.id, 1, [change(2, "mine"), change(3, "mine too"), Edit(op="drop", row=5)])
    theirs = [Edit(op="drop", row=1), change(2, "theirs"), Edit(op="drop", row=3)]
    saving.save_version(studio, small.id, 1, theirs)
    with pytest.raises(Conflict, match="3 edits that wait are of version 1"):
        drafts.save_draft(studio, small.id)
    with pytest.raises(Conflict, match="Bring them over"):
        drafts.add_edits(studio, small.id, 2, [change(1, "more")])
    moved = drafts.bring_over(studio, small.id)
    assert [(edit.op, edit.row) for edit in moved.edits] == [("change", 1), ("add", None), ("drop", 3)]
    assert [kept.note for kept in moved.kept] == [
        "Row 1 was changed in version 2 too",
        "Row 3 was dropped in version 2",
        "",
    ]
    drafts.save_draft(studio, small.id)
    assert answers(studio, small.id) == ["mine", "4!", "mine too"]


def test_an_edit_of_a_version_that_is_not_the_newest_is_refused(studio, small):
    saving.save_version(studio, small.id, 1, [change(2, "theirs")])
    with pytest.raises(Conflict, match="Version 2 of 'counting' has been saved meanwhile"):
        drafts.add_edits(studio, small.id, 1, [change(1, "mine")])


def test_the_difference_of_two_versions_names_rows_and_words(studio, small):
    edits = [change(2, "2 and more!"), Edit(op="drop", row=4), Edit(op="change", row=5, heldout=True)]
    saving.save_version(studio, small.id, 1, [*edits, Edit(op="add", value=conversation("Count to 9.", "9!"))])
    page = difference.page_of(studio, small.id, 1, 2)
    assert (page["added"], page["removed"], page["changed"], page["next"]) == (1, 1, 2, None)
    assert [(item["kind"], item["row_before"], item["row_after"]) for item in page["items"]] == [
        ("changed", 2, 2),
        ("removed", 4, None),
        ("changed", 5, 4),
        ("added", None, 5),
    ]
    assert [text for kind, text in page["items"][0]["words"] if kind == "added"] == [" and more"]
    assert "".join(text for kind, text in page["items"][2]["words"] if kind == "added") == "\n[held out]"
    back = difference.page_of(studio, small.id, 2, 1, start=1, count=1)
    assert (back["added"], back["items"][0]["kind"], back["next"]) == (1, "added", 2)


def test_a_restored_version_says_what_came_back(studio, small):
    saving.save_version(studio, small.id, 1, [Edit(op="drop", row=1), change(2, "two")])
    back = saving.restore_version(studio, small.id, 1, parent=2)
    assert (back.added, back.removed, back.changed) == (1, 0, 1)


def test_rows_are_found_by_words_that_stand_in_them_and_not_by_how_they_are_kept(studio, tmp_path):
    rows = [*COUNTING, {"instruction": 'Say "Straße"\nplease', "output": "user"}]
    dataset = add_rows(studio, tmp_path, rows)
    assert [place for place, _ in searching.find_rows(studio, dataset.id, q='say "STRASSE"').items] == []
    assert [place for place, _ in searching.find_rows(studio, dataset.id, q='say "straße"\nPlease').items] == [600]
    assert [place for place, _ in searching.find_rows(studio, dataset.id, q="user").items] == [600]
    assert [place for place, _ in searching.find_rows(studio, dataset.id, q="to 599").items] == [598]
    first = searching.find_rows(studio, dataset.id, q="count", count=3)
    assert ([place for place, _ in first.items], first.next) == ([0, 1, 2], 3)
    assert searching.find_rows(studio, dataset.id, q="count", start=599).items[0][0] == 599


def test_a_long_search_stops_and_says_where_to_go_on(studio, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "READ_AT_ONCE", 1000)
    dataset = add_rows(studio, tmp_path, COUNTING)
    found = searching.find_rows(studio, dataset.id, q="to 600")
    while not found.items:
        found = searching.find_rows(studio, dataset.id, q="to 600", start=found.next)
    assert (found.items[0][0], found.next) == (599, None)


def test_held_out_rows_are_found(studio, small):
    saving.save_version(studio, small.id, 1, [Edit(op="change", row=3, heldout=True)])
    assert [place for place, _ in searching.find_rows(studio, small.id, heldout=True).items] == [2]
    assert len(searching.find_rows(studio, small.id, heldout=False).items) == 4


CONVERSATIONS = [
    {"messages": [{"role": "system", "content": "Be brief."}, *conversation("Hi", "=Hello, \"you\"\nthere")["messages"]]},
    {"messages": [*conversation("One?", "1")["messages"], *conversation("Two?", " 2 ")["messages"]]},
    conversation("<b>bold</b>", "Ünï 🎈"),
]  # fmt: skip
MARKED = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}


@pytest.mark.parametrize(
    ("rows", "way"),
    [
        *((CONVERSATIONS, name) for name in ("messages", "sharegpt", "alpaca", "prompt_completion")),
        ([*CONVERSATIONS, MARKED], "messages"),
        ([*CONVERSATIONS, MARKED], "sharegpt"),
        (PAIRS, "preference"),
        ([{"text": "Once\nupon"}, {"text": " a time "}], "text"),
        ([{"text": "Once\nupon"}, {"text": " a time "}], "csv"),
        ([conversation("a, \"b\"", "c\nd")], "csv"),
        ([conversation("=1+1", "-- no"), conversation("'@home", "+"), conversation("a", "b")], "csv"),
        ([conversation("a, \"b\"", "c\nd")], "question_answer"),
        (CONVERSATIONS, "kto"),
        (PAIRS, "preference_openai"),
        (PAIRS, "csv"),
    ],
)  # fmt: skip
def test_what_is_exported_comes_back_as_the_same_rows(studio, tmp_path, rows, way):
    dataset = add_rows(studio, tmp_path, rows)
    saving.save_version(studio, dataset.id, 1, [Edit(op="change", row=1, heldout=True)])
    dataset = datasets.get_dataset(studio, dataset.id)
    written, text = exporting.export(studio, dataset, lineage.get_version(studio, dataset.id), way)
    path = tmp_path / "exported"
    path.write_text("".join(text), newline="")
    again = datasets.add_upload(studio, path, f"exported.{written.ending}")
    told = [difference.said(row) for row in rows_of(studio, again.id)]
    assert told == [difference.said(row) for row in rows_of(studio, dataset.id)]
    assert datasets.report_of(studio, again.id).unused_columns == []


def test_a_cell_that_a_spreadsheet_would_compute_is_written_as_text(studio, tmp_path):
    dataset = add_rows(studio, tmp_path, [conversation("=cmd|'/c calc'!A0", "+1"), conversation("@a", "-2")])
    _, text = exporting.export(studio, dataset, lineage.get_version(studio, dataset.id), "csv")
    cells = [cell for row in csv.reader(io.StringIO("".join(text))) for cell in row]
    assert cells[4:] == ["", "'=cmd|'/c calc'!A0", "'+1", "prompt response", "", "'@a", "'-2", "prompt response"]


def test_an_apostrophe_in_a_table_of_others_stays(studio, tmp_path):
    path = tmp_path / "upload"
    path.write_text("prompt,response,escaped\n'=a,'tis so,prompt response\n'-ing,b,nothing\n")
    dataset = datasets.add_upload(studio, path, "upload")
    assert [row["messages"][0]["content"] for row in rows_of(studio, dataset.id)] == ["'=a", "'-ing"]


def test_a_format_that_cannot_hold_the_rows_is_refused_before_a_byte_is_sent(studio, tmp_path):
    several = add_rows(studio, tmp_path, CONVERSATIONS)
    version = lineage.get_version(studio, several.id)
    with pytest.raises(Invalid, match="1 rows have several questions"):
        exporting.export(studio, several, version, "csv")
    with pytest.raises(Invalid, match="cannot be written as 'preference'"):
        exporting.export(studio, several, version, "preference")
    marked = add_rows(studio, tmp_path, [MARKED])
    with pytest.raises(Invalid, match="mark which answers"):
        exporting.export(studio, marked, lineage.get_version(studio, marked.id), "alpaca")


def mend(right: str, *said: str, bad: str = "Arr?") -> mending.Mend:
    roles = ("user", "assistant")
    messages = [mending.Said(role=roles[place % 2], content=text) for place, text in enumerate(said)]
    return mending.Mend(messages=messages, bad=bad, right=right)


def test_a_mended_answer_is_a_new_row_of_the_next_version(studio, small):
    made = mending.mend_data(studio, small.id, mend("7!", "Count to 7."))
    assert (made.number, made.why, answers(studio, small.id)[-1]) == (2, "Mended from Compare: 1 answer.", "7!")


def test_where_the_question_stands_in_the_data_its_answer_is_replaced_unless_that_is_not_wanted(studio, small):
    place = mending.same_question(studio, small.id, mend("three", "Count to 3. "))
    assert (place.row, place.answer) == (3, "3!")
    mending.mend_data(studio, small.id, mend("three", "Count to 3."))
    assert answers(studio, small.id) == ["1!", "2!", "three", "4!", "5!"]
    mending.mend_data(studio, small.id, mend("drei", "Count to 3."), replace=False)
    assert answers(studio, small.id) == ["1!", "2!", "three", "4!", "5!", "drei"]


def test_an_answer_that_the_data_gives_already_leaves_no_edit_behind(studio, small):
    with pytest.raises(Conflict, match="Row 3 gives this answer already"):
        mending.mend_data(studio, small.id, mend("3!", "Count to 3."))
    assert drafts.waiting(studio, small.id) == 0


def test_of_a_longer_conversation_only_the_right_answer_is_learned(studio, small):
    mending.mend_data(studio, small.id, mend("Two.", "One?", "Uno", "Two?"))
    learned = [message.get("learn") for message in rows_of(studio, small.id)[-1]["messages"]]
    assert learned == [None, False, None, True]
    assert datasets.report_of(studio, small.id).marked_rows == 1


def test_several_mends_gather_and_are_saved_as_one_version(studio, small):
    mending.collect(studio, small.id, mend("7!", "Count to 7."))
    mending.collect(studio, small.id, mend("8!", "Count to 8."))
    drafts.add_edits(studio, small.id, 1, [Edit(op="drop", row=1)])
    assert datasets.get_dataset(studio, small.id).version == 1
    made = drafts.save_draft(studio, small.id)
    assert (made.number, made.why) == (2, "Mended from Compare: 2 answers; 1 row dropped.")


def test_in_pairs_the_right_answer_is_chosen_and_the_bad_one_rejected(studio, tmp_path):
    pairs = add_rows(studio, tmp_path, PAIRS)
    mending.mend_data(studio, pairs.id, mend("Aye!", "Say aye."))
    row = rows_of(studio, pairs.id)[-1]
    assert [row[side][0]["content"] for side in ("chosen", "rejected")] == ["Aye!", "Arr?"]
    with pytest.raises(Invalid, match="the same"):
        mending.mend_data(studio, pairs.id, mend("Arr?", "Say aye."))
    with pytest.raises(Invalid, match="chosen answer"):
        mending.mend_data(studio, pairs.id, mend(" ", "Say nay."))


def test_a_new_data_set_can_begin_with_a_mend(studio):
    made = mending.new_dataset(studio, "preference", mend("Aye!", "Say aye."), "")
    assert (made.name, made.kind, made.rows) == ("Mended answers", "preference", 1)


def test_text_has_no_answers_to_mend(studio, tmp_path):
    text = add_rows(studio, tmp_path, [{"text": "Once upon a time."}])
    with pytest.raises(Invalid, match="no answers to mend"):
        mending.mend_data(studio, text.id, mend("a", "b"))


def test_exports_are_streamed_in_pieces(studio, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "CHUNK", 5000)
    dataset = add_rows(studio, tmp_path, COUNTING)
    _, text = exporting.export(studio, dataset, lineage.get_version(studio, dataset.id), None)
    pieces = list(text)
    assert len(pieces) > 10
    assert len([json.loads(line) for line in "".join(pieces).splitlines()]) == 600
