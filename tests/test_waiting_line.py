"""The line before the chat worker: fair between people, told where one stands, and limited."""

import pytest

from jobs.workers.columns.waiting import Line, nth
from jobs.workers.questions import MOST_OPEN, MOST_OPEN_OF_ONE, Inbox, Question
from studio.errors import TooMany


def question(owner, columns=1):
    heard = []
    made = Question([{}] * columns, heard.append, owner=owner)
    made.heard = heard
    return made


def line_of(*questions):
    line = Line()
    for each in questions:
        line.add(each)
    return line


def positions(asked):
    return [event["position"] for event in asked.heard if "position" in event]


def test_the_next_place_is_for_whom_the_fewest_answers_are_being_written():
    writing = [question("ann"), question("ann"), question("bob")]
    anns, bobs, eves = question("ann"), question("bob"), question("eve")
    assert line_of(anns, bobs, eves).next(writing) is eves
    assert line_of(anns, bobs).next(writing) is bobs
    assert line_of(anns).next(writing) is anns
    assert line_of().next(writing) is None


def test_among_equals_who_asked_first_is_first():
    first, second = question("ann"), question("bob")
    assert line_of(first, second).next([]) is first


def test_each_is_told_where_it_stands_and_again_when_that_changes():
    many = [question("ann") for _ in range(3)]
    bobs = question("bob")
    line = line_of(*many, bobs)
    line.tell_positions([question("ann")])
    assert [positions(each) for each in (*many, bobs)] == [[2], [3], [4], [1]]
    assert "1st in line" in bobs.heard[0]["notice"]
    line.tell_positions([question("ann")])
    assert positions(bobs) == [1]
    line.remove(bobs)
    line.tell_positions([question("ann")])
    assert [positions(each) for each in many] == [[2, 1], [3, 2], [4, 3]]
    assert sum("notice" in event for event in many[0].heard) == 1


def test_places_are_said_in_words():
    assert [nth(place) for place in (1, 2, 3, 4, 11, 12, 21, 102)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "21st",
        "102nd",
    ]


def test_nobody_may_have_more_than_so_many_questions_open_nor_all_together():
    inbox = Inbox()
    asked = [question("ann") for _ in range(MOST_OPEN_OF_ONE)]
    for each in asked:
        inbox.ask(each)
    with pytest.raises(TooMany, match=f"{MOST_OPEN_OF_ONE} of your questions"):
        inbox.ask(question("ann"))
    asked[0].end()
    inbox.ask(question("ann"))
    for number in range(MOST_OPEN - MOST_OPEN_OF_ONE):
        inbox.ask(question(f"person {number}"))
    with pytest.raises(TooMany, match=f"{MOST_OPEN} questions are being answered"):
        inbox.ask(question("somebody else"))
