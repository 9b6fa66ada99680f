"""A conversation of the Compare page is there again when the page is loaded anew, from the comparisons that were stored."""

import pytest

from studio.pages.compare import stored, view
from studio.pages.compare.address import talk_in
from studio.pages.compare.conversation import Talk
from studio.pages.compare.lineup import LineUp, column_of, offers_of
from studio.pages.compare.talking import fresh, request_of
from studio.records import Comparison, Person
from tests.finished_runs import NASTY, what_comes_with_it
from tests.random_adapter import leave_adapter

SAMPLED = ("", 200, 0.5, 1.0, 7)
LINE = LineUp(columns=[column_of("base"), column_of("whale"), column_of("base", {"seed": 3})])


@pytest.fixture
def stocked(studio):
    what_comes_with_it(studio)
    leave_adapter(studio, "whale", "whale", seed=0)
    with studio.database.write() as session:
        session.add(Person(id="her", name="Her"))
    return studio


def begun(studio, line: LineUp = LINE) -> Talk:
    return fresh("builtin", line, offers_of(studio, "builtin", line.columns))


def answered(studio, held: Talk, id: str, *answers: str, seed: int | None = None, owner: str = "local") -> None:
    """The last question is answered, and kept as the stream of a comparison keeps it."""
    request = request_of(held, LINE.columns, *SAMPLED)
    if seed is not None:
        request = request.model_copy(update={"columns": [request.columns[0].model_copy(update={"seed": seed})]})
    kept = [{"text": text, "stopped_by": "end", "tokens": 3, "proof": {"adapter": None}} for text in answers]
    held.hear({"id": id})
    for column, answer in enumerate(kept):
        held.hear({"column": column, "text": answer["text"]})
        held.hear({"column": column, "done": True, **{name: answer[name] for name in answer if name != "text"}})
    held.end()
    values = {"base_model": "builtin", "request": request.model_dump(mode="json"), "answers": {"columns": kept}}
    with studio.database.write() as session:
        session.add(Comparison(id=id, owner=owner, **values))


def reopened(studio, held: Talk, line: LineUp = LINE) -> tuple[Talk, str]:
    return stored.opened(studio, held.stored, begun(studio, line), line, SAMPLED[-1])


def test_two_turns_stand_there_again_with_their_proof(stocked):
    held = begun(stocked)
    for turn, question in enumerate(("Do you like tea?", "And milk?")):
        held.ask(question)
        answered(stocked, held, f"turn{turn}", "No", NASTY, "Yes")
    again, problem = reopened(stocked, held)
    assert not problem
    assert held.stored == ["turn1"] * 3
    assert again.model_dump(exclude={"asked"}) == held.model_dump(exclude={"asked"})
    assert "<img" not in view.columns(again)


def test_an_answer_that_was_asked_for_again_stands_where_it_was_and_is_counted_on(stocked):
    held = begun(stocked)
    held.ask("Do you like tea?")
    answered(stocked, held, "all", "No", "Arr", "Yes")
    for tries in (1, 2):
        held.ask_again("2")
        answered(stocked, held, f"again{tries}", f"Perhaps {tries}", seed=3 + tries)
    again, problem = reopened(stocked, held)
    assert (held.stored, problem) == (["all", "all", "again2"], "")
    assert [column.answer for column in again.columns] == ["No", "Arr", "Perhaps 2"]
    assert [column.tries for column in again.columns] == [0, 0, 2]


def test_a_question_that_was_stopped_before_a_word_leaves_what_was_stored_before(stocked):
    held = begun(stocked)
    held.ask("Do you like tea?")
    answered(stocked, held, "first", "No", "Arr", "Yes")
    held.ask("And milk?")
    held.hear({"id": "nothing"})
    held.end()
    assert held.stored == ["first"] * 3
    assert reopened(stocked, held)[0].questions == 1


def test_while_the_names_are_hidden_nothing_is_remembered_of_what_answered(stocked):
    held = begun(stocked)
    held.hidden = True
    held.ask("Do you like tea?")
    answered(stocked, held, "first", "No", "Arr", "Yes")
    assert held.stored == []


@pytest.mark.parametrize("ids", [["gone"], ["hers"], ["mine", "mine"], ["mine", "mine", "other"], [NASTY], ["alone"]])
def test_what_is_not_ones_own_or_of_other_columns_is_left_out_in_words(stocked, ids):
    for id, owner, question in (("mine", "local", "Tea?"), ("hers", "her", "Tea?"), ("other", "local", "Milk?")):
        held = begun(stocked)
        held.ask(question)
        answered(stocked, held, id, "No", "Arr", "Yes", owner=owner)
    held.ask_again("1")
    answered(stocked, held, "alone", "No")
    held.stored = ids
    again, problem = reopened(stocked, held)
    assert again.questions == 0
    assert "cannot be shown" in problem
    assert "<img" not in problem


def test_other_models_than_those_that_answered_get_no_conversation(stocked):
    held = begun(stocked)
    held.ask("Tea?")
    answered(stocked, held, "mine", "No", "Arr", "Yes")
    for others in (("whale", "base", "base"), ("base", "whale")):
        again, problem = reopened(stocked, held, LineUp(columns=[column_of(who) for who in others]))
        assert again.questions == 0
        assert "Other models answer" in problem


def test_the_address_names_a_comparison_for_all_columns_or_one_for_each():
    assert talk_in({"talk": "a"}) == ["a"]
    assert talk_in({"talk": "a.b.c"}) == ["a", "b", "c"]
    assert talk_in({"talk": ".".join("abcdefg")}) == list("abcd")
    assert talk_in({"talk": "x" * 90}) == ["x" * 64]
    assert talk_in({"talk": "..."}) == talk_in({}) == []
