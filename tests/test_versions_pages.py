"""The Data page's rows and versions: a row as a form and back, hostile text, edits by click, and the way to the Train page."""

import html
import re

import pytest
from starlette.datastructures import QueryParams

from studio import datasets
from studio.errors import Conflict, Invalid, NotFound
from studio.pages import train
from studio.pages.findings import section as findings
from studio.pages.versions import forms, history, rows, rows_view
from studio.versions import drafts, saving, searching
from studio.versions.edits import Edit, fields_of
from tests.dataset_files import COUNTING, add_rows, answers, change, conversation

NASTY = '</textarea><img src=x onerror="alert(1)">\u202e{{value}}'


class Asked:
    """A request, as far as handlers look at it."""

    def __init__(self, query: str):
        self.query_params = QueryParams(query)


def boxes(drawn: str) -> list[dict]:
    """What a browser sends of a form."""
    found = re.findall(r"<textarea ([^>]*)>\n(.*?)</textarea>", drawn, re.DOTALL)
    return [
        {**dict(re.findall(r'data-(\w+)="([^"]*)"', named)), "content": html.unescape(text).replace("\r\n", "\n")}
        for named, text in found
    ]


@pytest.fixture
def small(studio, tmp_path):
    return add_rows(studio, tmp_path, COUNTING[:5])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("conversations", {"system": "Be brief.", **conversation("\nHi\r\nthere", NASTY)}),
        ("conversations", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}),
        ("preference", {"prompt": "Say hello.", "chosen": "Ahoy\r\n!", "rejected": NASTY}),
        ("text", {"text": "Once\r\nupon a time\n"}),
    ],
)  # fmt: skip
def test_a_row_that_goes_through_its_form_untouched_stays_as_it_was(kind, value):
    row = fields_of(value, kind)
    drawn = forms.form("1", "Row 1", row, False)
    assert "<img" not in drawn
    assert fields_of(forms.value_of(boxes(drawn), kind, row), kind) == row


@pytest.mark.parametrize("said", [None, "text", [1, None], [{"part": "messages", "role": {"a": 1}, "content": 5}]])
def test_what_a_browser_makes_up_is_refused_in_words(studio, small, said):
    with pytest.raises((Invalid, NotFound)):
        rows.keep_change(studio, Asked(f"id={small.id}"), {"id": "1", "fields": said}, 1)
    with pytest.raises(NotFound):
        rows.keep_change(studio, Asked(f"id={small.id}"), {"id": "999", "fields": []}, 1)
    with pytest.raises(NotFound):
        rows.keep_change(studio, Asked("id=gone"), said, 1)


def test_edits_by_click_gather_and_are_saved(studio, small):
    asked = Asked(f"id={small.id}")
    form = boxes(forms.form("2", "Row 2", conversation("Count to 2.", "2!"), False))
    rows.keep_change(studio, asked, {"id": "2", "fields": [*form[:-1], {**form[-1], "content": NASTY}]}, 1)
    for act, id in (("drop", "3"), ("hold", "4"), ("drop", "5"), ("undo", "")):
        rows.pressed(studio, asked, {"act": act, "id": id}, 1, 1)
    drawn = rows.draw(studio, asked, 1, "", "", "", 1, "")
    assert "3 edits wait" in drawn
    assert drawn.count("Changed, not saved") == 2
    assert drawn.count("Will be dropped") == 1
    assert "<img" not in drawn
    start, editing, to = rows.pressed(studio, asked, {"act": "save", "why": "Mended by hand"}, 1, 1)
    assert (to, answers(studio, small.id)) == (f"/data?id={small.id}", ["1!", NASTY, "4!", "5!"])
    assert "Mended by hand" in history.draw(studio, asked)
    changes, _ = history.pressed(studio, asked, "diff", "1-2-0")
    assert "<ins>" in changes
    assert "<img" not in changes


def test_saving_beside_another_version_leads_to_where_the_edits_can_be_brought_over(studio, small):
    asked = Asked(f"id={small.id}")
    rows.pressed(studio, asked, {"act": "drop", "id": "2"}, 1, 1)
    saving.save_version(studio, small.id, 1, [change(1, "theirs")])
    assert rows.pressed(studio, asked, {"act": "save", "why": ""}, 1, 1)[2] == f"/data?id={small.id}"
    assert "Bring them over to version 2" in rows.draw(studio, asked, 2, "", "", "", 1, "")
    assert answers(studio, small.id)[:2] == ["theirs", "2!"]


def test_a_second_tab_hears_that_another_version_was_saved(studio, small):
    saving.save_version(studio, small.id, 1, [change(1, "one!")])
    with pytest.raises(Conflict, match="has been saved meanwhile"):
        rows.pressed(studio, Asked(f"id={small.id}"), {"act": "drop", "id": "2"}, 1, 1)


def test_edits_of_an_older_version_can_be_brought_over_on_the_page(studio, small):
    drafts.add_edits(studio, small.id, 1, [change(1, "mine")])
    saving.save_version(studio, small.id, 1, [change(1, "theirs")])
    asked = Asked(f"id={small.id}")
    assert "Bring them over to version 2" in rows.draw(studio, asked, 2, "", "", "", 1, "")
    rows.pressed(studio, asked, {"act": "bring", "id": ""}, 2, 1)
    assert "was changed in version 2 too" in rows.draw(studio, asked, 2, "", "", "", 1, "")


def test_an_older_version_is_shown_but_not_edited(studio, small):
    saving.save_version(studio, small.id, 1, [Edit(op="drop", row=1)])
    drawn = rows.draw(studio, Asked(f"id={small.id}&version=1"), 1, "", "", "", 1, "1")
    assert "This is version 1 of 2" in drawn
    assert "data-form" not in drawn
    assert "Edit row" not in drawn
    _, to = history.pressed(studio, Asked(f"id={small.id}"), "restore", "1")
    assert (to, datasets.get_dataset(studio, small.id).version) == (f"/data?id={small.id}", 3)


@pytest.mark.parametrize(("said", "shown"), [("0", 1), ("-1", 1), ("x", 1), ("9" * 30, 1), ("²", 1), ("1", 1)])
def test_an_address_with_a_version_that_is_no_number_shows_the_newest(studio, small, said, shown):
    assert rows.asked_for(studio, Asked(f"id={small.id}&version={said}"))[1] == shown


def test_an_address_with_a_version_that_is_not_there_shows_nothing(studio, small):
    assert rows.asked_for(studio, Asked(f"id={small.id}&version=7")) is None


def test_the_train_page_offers_the_versions_and_takes_the_newest_unless_another_is_asked_for(studio, small):
    saving.save_version(studio, small.id, 1, [Edit(op="drop", row=1)])
    newest = train.versions_of(studio, small.id, None)
    assert newest["value"] == ""
    assert newest["visible"]
    assert newest["choices"] == [("Newest: version 2: 1 row dropped.", ""), ("Version 1: As it was brought.", "1")]
    assert train.versions_of(studio, small.id, 1)["value"] == "1"
    assert train.versions_of(studio, small.id, 9)["value"] == ""
    plan = {"dataset": small.id, "dataset_version": 1}
    assert train.asked_version(QueryParams(""), plan, small.id) == 1
    assert train.asked_version(QueryParams("version=2"), plan, small.id) == 2
    assert train.asked_version(QueryParams(""), plan, "another") is None


def test_a_new_row_is_added_by_its_form(studio, small):
    asked = Asked(f"id={small.id}")
    drawn = rows.draw(studio, asked, 1, "", "", "", 1, rows_view.NEW)
    form = boxes(drawn)
    filled = [{**box, "content": text} for box, text in zip(form, ["", "Count to 6.", "6!"], strict=True)]
    rows.keep_change(studio, asked, {"id": rows_view.NEW, "fields": filled, "heldout": True}, 1)
    assert "New, not saved" in rows.draw(studio, asked, 1, "", "", "", 1, "")
    assert drafts.save_draft(studio, small.id).heldout_rows == 1


def test_rows_are_filtered_by_a_kind_of_finding_with_the_search_kept(studio, tmp_path):
    lines = [
        conversation(f"Whom do I ask, {n}?", f"Ask jane{n}@harbour-office.org." if n % 300 == 7 else f"Nobody, {n}.")
        for n in range(700)
    ]
    dataset = add_rows(studio, tmp_path, lines)
    found = searching.find_rows(studio, dataset.id, check="email")
    assert [place for place, _ in found.items] == [7, 307, 607]
    first = searching.find_rows(studio, dataset.id, count=1, check="email")
    assert first.next == 307
    assert [
        place for place, _ in searching.find_rows(studio, dataset.id, start=first.next, q="jane6", check="email").items
    ] == [607]
    with pytest.raises(Invalid, match="no kind of finding"):
        searching.find_rows(studio, dataset.id, check="../email")
    asked = Asked(f"id={dataset.id}&q=jane3&finding=email")
    q, which, finding, kinds = rows.asked_rows(studio, asked, dataset, 1)
    assert (q, which, finding) == ("jane3", "", "email")
    assert ("E-mail addresses (3)", "email") in kinds
    assert "Row 308" in rows.draw(studio, asked, 1, q, which, finding, 1, "")
    assert rows.asked_rows(studio, Asked("finding=nothing"), dataset, 1)[2] == ""
    assert findings.rows_with(asked, "phone") == f"/data?id={dataset.id}&q=jane3&finding=phone#rows"
