"""Plots of a data set: what they count, and that the same numbers stand there as text."""

from studio.pages.plots.bars import Bar, lying, upright
from studio.pages.plots.spread import spread
from studio.row_checks.findings import Found

FOUND = Found(rows=10, counts={"duplicate": 2}, turns={1: 6, 2: 3, 8: 1})


def test_turns_and_copies_are_counted_before_the_second_pass_which_the_rest_asks_for():
    drawn = spread(FOUND, "conversations")
    assert "<span>1 answer</span><b>6</b>" in drawn
    assert "<span>8 or more</span><b>1</b>" in drawn
    assert "<span>There once</span><b>8</b>" in drawn
    assert "<span>Exact copies</span><b>2</b>" in drawn
    assert drawn.count("Look closer") == 2


def test_languages_and_near_copies_are_shown_after_the_second_pass():
    counts = {"duplicate": 2, "near_duplicate": 1}
    languages = {"unknown": 5, "English": 4, "German": 1}
    drawn = spread(FOUND.model_copy(update={"counts": counts, "languages": languages, "second_pass": True}), "text")
    assert "<span>There once</span><b>7</b>" in drawn
    assert "Answers in a conversation" not in drawn
    places = [drawn.index(words) for words in ("English", "German", "Too short or mixed to tell")]
    assert places == sorted(places)
    assert "Look closer" not in drawn


def test_rows_that_nobody_has_looked_at_have_no_plots():
    assert spread(None, "conversations") == spread(Found(rows=0), "text") == ""


def test_bars_say_their_numbers_as_text_and_escape_their_words():
    drawn = upright([Bar("1 to <2", 3), Bar("2 to 3", 0)], "All & some", ("0", "tokens", "3"), "row", (0.5, "cut at 2"))
    assert "<tr><td>1 to &lt;2</td><td>3</td></tr></tbody></table>" in drawn
    assert 'aria-label="All &amp; some"' in drawn
    assert 'style="left:50.00%"><span>cut at 2</span>' in drawn
    assert "<b>0</b>" in lying("Nothing", [Bar("None", 0)])
