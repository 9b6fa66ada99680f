"""The dialog in which an answer is mended: what it offers, what becomes of it, and that nobody's text is markup."""

import pytest

from studio import datasets
from studio.errors import Invalid
from studio.files import write_json
from studio.folders import AdapterFolder
from studio.pages.compare import asking
from studio.pages.compare.conversation import Column, Message, Talk
from studio.pages.compare.lineup import LineUp
from studio.pages.versions import mending, mending_view
from studio.records import Adapter, BaseModel
from studio.versions import drafts
from tests.dataset_files import COUNTING, add_rows, answers, rows_of

NASTY = '</textarea><img src=x onerror="alert(1)">'


@pytest.fixture
def small(studio, tmp_path):
    return add_rows(studio, tmp_path, COUNTING[:5], name="<b>Pirate")


@pytest.fixture
def adapter(studio, small) -> str:
    """One that has learned from the data set."""
    write_json(AdapterFolder(studio.data.adapter("adapter").create().path).passport, {"dataset": {"id": small.id}})
    with studio.database.write() as session:
        session.add(BaseModel(id="base", name="Base", source="builtin", location="builtin"))
        session.flush()
        session.add(Adapter(id="adapter", name="a", base_model="base", method="lora", size_bytes=1, sha256="0"))
    return "adapter"


def talk(*said: str, **more) -> Talk:
    messages = [Message(role=("user", "assistant")[place % 2], content=text) for place, text in enumerate(said)]
    return Talk(base_model="base", columns=[Column(messages=messages, name="Base (base)", **more)])


def press(studio, asked, act, right, into, replace=True, name=""):
    said = {"act": act, "right": right, "into": into, "replace": replace, "name": name}
    return mending.pressed(studio, asked, said, "Mended from Compare")


def test_the_dialog_begins_with_the_answer_and_the_data_that_the_adapter_learned_from(studio, tmp_path, small, adapter):
    add_rows(studio, tmp_path, COUNTING[:5], name="Newer")
    drawn, asked = mending.opened(studio, [{"role": "user", "content": NASTY}], NASTY, adapter)
    assert "<img" not in drawn
    assert f'<option value="{small.id}" selected>&lt;b&gt;Pirate (conversations), learned from</option>' in drawn
    assert (asked["bad"], asked["adapter"]) == (NASTY, "adapter")


def test_an_answer_of_compare_is_mended_with_its_instructions_and_all_that_was_said_before(studio, small):
    held = talk("Hi", "Hello", "Count to 7.", "8!")
    drawn, asked = asking.to_mend(studio, held, LineUp(), " Be brief. ", 0)
    assert "after 3 messages" in drawn
    said = press(studio, asked, "save", "7!", small.id)
    assert "Version 2 of" in said
    assert f"/train?data={small.id}&amp;version=2" in said
    row = rows_of(studio, small.id)[-1]
    assert [message["content"] for message in row["messages"]] == ["Be brief.", "Hi", "Hello", "Count to 7.", "7!"]
    assert [message.get("learn") for message in row["messages"]] == [None, None, False, None, True]


def test_the_same_question_in_the_data_is_shown_and_replaced_or_left(studio, small):
    _, asked = asking.to_mend(studio, talk("Count to 2.", "3"), LineUp(), "", 0)
    drawn = press(studio, asked, "choose", "2!!", small.id)
    assert "Row 2 asks the same" in drawn
    assert "2!!</textarea>" in drawn
    press(studio, asked, "save", "2!!", small.id)
    assert answers(studio, small.id)[1] == "2!!"
    press(studio, asked, "save", "two", small.id, replace=False)
    assert answers(studio, small.id)[-1] == "two"


def test_mends_are_collected_and_saved_together(studio, small):
    _, asked = asking.to_mend(studio, talk("Count to 8.", "3"), LineUp(), "", 0)
    assert "1 edit waits for version 2" in press(studio, asked, "collect", "8!", small.id)
    assert "1 edit that waits already will be saved with it" in press(studio, asked, "choose", "8!", small.id)
    assert drafts.waiting(studio, small.id) == 1
    assert datasets.get_dataset(studio, small.id).version == 1


def test_a_data_set_of_pairs_can_begin_with_a_mend(studio):
    drawn, asked = asking.to_mend(studio, talk("Count to 2.", "3"), LineUp(), "", 0)
    assert "A new data set of answers" in drawn
    press(studio, asked, "save", "2!", mending_view.PAIRS, name="Counting")
    (made,) = datasets.list_datasets(studio).items
    assert (made.name, made.kind) == ("Counting", "preference")


@pytest.mark.parametrize("asked", [None, [], {}, {"messages": "x"}, {"messages": [{"role": "tool", "content": "x"}]}])
def test_what_a_browser_makes_up_is_refused(studio, small, asked):
    with pytest.raises(Invalid):
        press(studio, asked, "save", "a", small.id)
