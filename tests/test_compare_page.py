"""The Compare page without a browser: who answers, its address, and what is drawn of a conversation."""

from urllib.parse import parse_qsl

import pytest

from studio import adapter_jobs, compare, compare_request
from studio.errors import Conflict, Invalid, Unavailable
from studio.pages.compare import lineup_view, mixing, view
from studio.pages.compare.address import address_of, columns_in
from studio.pages.compare.conversation import Column, Talk, read_talk
from studio.pages.compare.lineup import (
    LineUp,
    Offers,
    arranged,
    colours_of,
    column_of,
    name_of,
    offers_of,
    read_lineup,
    said_in,
    who_of,
)
from studio.pages.compare.prompts import example_prompts
from studio.pages.compare.talking import answering, differing, fresh, models_in, request_of
from tests.coroutines import finished
from tests.finished_runs import NASTY, leave_run, what_comes_with_it
from tests.random_adapter import leave_adapter

OFFERS = Offers(
    "Tiny",
    (("x", "Pirate"), ("y", NASTY), ("z", "Judge")),
    (("x", "Pirate"), ("y", NASTY), ("z", "Judge")),
    (("r", "run", (8, 4)),),
)
SAMPLED = ("", 200, 0.0, 1.0, 0)


@pytest.fixture
def stocked(studio):
    what_comes_with_it(studio)
    return studio


def lineup(*whos: str) -> LineUp:
    return LineUp(columns=[column_of(who) for who in whos])


def whos(lineup: LineUp) -> list[str]:
    return [who_of(column) for column in lineup.columns]


@pytest.mark.parametrize("who", ["base", "x", "x*0.7 y*-0.3", "run7@200", "x*1 y*1 z*0"])
def test_who_answers_is_read_as_it_is_written(who):
    assert who_of(column_of(who)) == who


@pytest.mark.parametrize("who", ["x*", "x*two y*1", "x*nan y*1", "x*1", "x*1 x*1", "x*99 y*1", "run@0", "a" * 80])
def test_who_makes_no_sense_is_refused(who):
    with pytest.raises(Invalid):
        column_of(who)


def test_the_address_holds_every_column_with_what_it_has_of_its_own_and_stays_readable():
    columns = [
        column_of("base", {"system": "Be short & kind."}),
        column_of("x*0.7 y*-0.3", {"temperature": 0.7, "seed": 3}),
        column_of("run7@200", {"max_new_tokens": 40}),
    ]
    address = address_of(columns)
    assert address == "columns=base,x*0.7+y*-0.3,run7@200&system1=Be+short+%26+kind.&temperature2=0.7&seed2=3&most3=40"
    assert columns_in(dict(parse_qsl(address))) == columns
    assert columns_in({"columns": "base,x*0.7+y*1"}) == lineup("base", "x*0.7 y*1").columns


def test_older_and_hostile_addresses_are_tolerated():
    assert columns_in({"a": "x", "b": "y"}) == lineup("base", "x", "y").columns
    assert columns_in({}) == []
    said = {
        "columns": "base,x*nan,<script>,,run@99999999999,y,z,x,base",
        "temperature1": "hot",
        "seed1": "-4",
        "system6": NASTY,
    }
    assert [who_of(column) for column in columns_in(said)] == ["base"]
    assert columns_in({"columns": "base", "top_p1": "7", "seed1": "5", "system1": "x" * 9999})[0].seed == 5
    assert len(columns_in({"columns": "base", "system1": "x" * 9999})[0].system) == 4000


def test_the_columns_are_those_of_the_address_that_can_answer(stocked):
    first, second = leave_run(stocked, "whale"), leave_run(stocked, "sql")
    base, found, lost = models_in(stocked, {"a": second, "b": "gone", "c": first})
    assert (base, whos(found), lost) == ("builtin", ["base", second, first], 1)
    mixed = f"{first}*0.5 {second}*0.5"
    assert whos(models_in(stocked, {"columns": f"{mixed},{second}"})[1]) == [mixed, second]
    assert whos(models_in(stocked, {"columns": f"{first}*1 gone*1,nothere@8"})[1]) == ["base"]
    assert whos(models_in(stocked, {"model": "builtin", "a": "gone"})[1]) == ["base"]
    assert whos(models_in(stocked, {})[1]) == ["base", second]
    assert whos(models_in(stocked, {"model": "no-such-model", "a": "gone"})[1]) == ["base"]


def test_columns_are_added_changed_and_removed():
    line = lineup("base", "x")
    line = arranged(line, "add", 0, "", OFFERS)
    assert whos(line) == ["base", "x", "y"]
    line = arranged(line, "who", 2, "mix", OFFERS)
    assert whos(line) == ["base", "x", "y*1 x*1"]
    line = arranged(line, "mix-in", 2, "z", OFFERS)
    line = arranged(line, "mix-out", 2, "y", OFFERS)
    assert whos(line) == ["base", "x", "x*1 z*1"]
    assert whos(arranged(line, "remove", 0, "", OFFERS)) == ["x", "x*1 z*1"]
    assert whos(arranged(line, "who", 0, "r@8", OFFERS)) == ["r@8", "x", "x*1 z*1"]
    full = arranged(line, "add", 0, "", OFFERS)
    with pytest.raises(Conflict, match="4 columns already"):
        arranged(full, "add", 0, "", OFFERS)
    with pytest.raises(Conflict, match="two adapters"):
        arranged(line, "who", 0, "mix", Offers("Tiny", (("x", "Pirate"),), (("x", "Pirate"),)))
    with pytest.raises(Invalid):
        arranged(line, "remove", 7, "", OFFERS)


def test_another_model_in_a_column_keeps_what_the_column_has_of_its_own():
    line = said_in([{"who": "x", "system": "Be short.", "temperature": "0.5", "seed": ""}])
    assert arranged(line, "who", 0, "base", OFFERS).columns[0].system == "Be short."
    for wrong in ({"temperature": "hot"}, {"seed": "1.5"}, {"temperature": "9"}, {"top_p": "0"}):
        with pytest.raises(Invalid):
            said_in([{"who": "x", **wrong}])
    for forged in (None, "x", [1], [{"who": 5}] * 3 + ["x"]):
        with pytest.raises(Invalid):
            said_in(forged)


def test_the_base_is_grey_and_everybody_else_has_a_colour_of_its_own():
    assert colours_of(lineup("x", "base", "y*1 z*1", "base").columns) == [1, 0, 2, 0]
    assert colours_of(lineup("x", "y", "z", "r@8").columns) == [1, 2, 3, 4]


def test_the_line_up_is_drawn_with_every_name_as_text_and_its_settings_folded():
    line = LineUp(columns=[column_of("base"), column_of("x*0.7 y*-0.3", {"seed": 3}), column_of("r@8")])
    html = lineup_view.drawn(line, OFFERS)
    assert "<img" not in html
    assert html.count("<details") == 3
    assert "<details open" not in html
    assert "Own settings · 1 set" in html
    assert 'aria-label="Weight of Pirate"' in html
    assert html.count('type="range"') == 2
    assert name_of(line.columns[2], OFFERS) == "run, step 8"
    blind = lineup_view.drawn(line, OFFERS, blind=True)
    assert "the own settings of 1 column rest until Blind is off" in blind


def test_the_page_gives_back_the_line_up_that_it_was_given():
    line = LineUp(columns=[column_of("x*0.7 y*-0.3", {"seed": 3, "system": NASTY}), column_of("r@8")])
    assert read_lineup({**line.model_dump(exclude_none=True), "address": "x"}) == line
    with pytest.raises(Invalid):
        read_lineup({"columns": [{"adapter": "x", "checkpoint": {"run": "r", "step": 1}}]})


def test_what_is_asked_holds_each_columns_own_settings_and_conversation():
    line = LineUp(columns=[column_of("base"), column_of("x*0.7 y*-0.3", {"seed": 3, "system": "Be short."})])
    held = fresh("builtin", line, OFFERS)
    held.ask("Do you like tea?")
    request = request_of(held, line.columns, *SAMPLED)
    assert [compare_request.sampling_of(request, column)["seed"] for column in request.columns] == [0, 3]
    assert [len(request.conversation(column)) for column in request.columns] == [1, 2]
    assert [part.weight for part in request.columns[1].mix] == [0.7, -0.3]
    assert isinstance(request, compare_request.CompareRequest)


def test_an_earlier_question_is_asked_otherwise_and_what_came_after_it_goes():
    held = talk("No", "Arr")
    held.end()
    held.ask("And coffee?")
    held.end()
    held.editing = 0
    held.ask("Do you like milk?")
    assert [[message.content for message in column.messages] for column in held.columns] == [["Do you like milk?"]] * 2
    assert held.editing is None
    with pytest.raises(Invalid, match="no such question"):
        held.question(3)


def test_differences_are_those_against_the_base_and_without_one_against_the_first():
    held = talk("I like tea.", "I like sea.")
    assert [name for name, _ in differing(held)] == [NASTY]
    held.columns[0].who = "y"
    assert [name for name, _ in differing(held)] == [NASTY]
    held.columns[1].who = "base"
    assert [name for name, _ in differing(held)] == ["base"]
    held.hidden = True
    assert differing(held) == []


def test_a_saved_mix_is_the_exact_stack_with_these_weights(stocked):
    for seed, id in enumerate(("tulip", "walrus")):
        leave_adapter(stocked, id, id, seed)
    line = lineup("tulip*0.7 walrus*-0.3")
    id = mixing.saved(stocked, [part.model_dump() for part in line.columns[0].mix])
    settings = adapter_jobs.get_job(stocked, id).settings
    assert (settings["kind"], settings["combination"]) == ("stack", "exact")
    assert settings["parents"] == [{"adapter": "tulip", "weight": 0.7}, {"adapter": "walrus", "weight": -0.3}]
    assert "is being made" in mixing.progress(adapter_jobs.get_job(stocked, id))
    assert {id for id, _ in offers_of(stocked, "builtin").mixable} == {"tulip", "walrus"}
    with pytest.raises(Invalid, match="All weights"):
        mixing.saved(stocked, [{"adapter": "tulip", "weight": 0}])


def test_example_questions_are_those_of_the_data_that_the_adapter_learned_from(stocked):
    id = leave_run(stocked, "whale", dataset="pirate")
    found = example_prompts(stocked, "builtin", [id], 4)
    assert len(found) == 4
    assert found != example_prompts(stocked, "builtin", [], 4)


def talk(*answers: str) -> Talk:
    held = Talk(base_model="builtin", columns=[Column(who="base", name="base"), Column(who="x", name=NASTY)])
    held.ask("Do you like tea?")
    for column, answer in enumerate(answers):
        held.hear({"column": column, "text": answer})
    return held


def test_an_answer_grows_and_ends_with_its_proof():
    held = talk("No", "Arr")
    held.hear({"column": 1, "text": "!"})
    proof = {"adapter": "x", "name": "whale", "layers_changed": 42, "self_check": "equal"}
    held.hear({"column": 1, "done": True, "tokens": 3, "tokens_per_second": 20.4, "stopped_by": "end", "proof": proof})
    html = view.columns(held)
    assert "adapter whale · changed 42 layers · base self-check equal" in html
    assert "3 tok · 20 tok/s" in html
    assert html.count('aria-busy="true"') == 1
    assert "<img" not in html
    assert "Arr!" in html


def test_stopping_keeps_what_was_said_and_asking_again_takes_the_question_back():
    held = talk("No", "")
    held.end()
    assert "stopped" in view.columns(held)
    assert held.take_back() == "Do you like tea?"
    assert [column.messages for column in held.columns] == [[], []]


def test_a_conversation_that_this_page_did_not_make_is_refused():
    assert read_talk(talk("No").model_dump()).columns[0].answer == "No"
    for forged in ([1], {"columns": [{"messages": [{"role": "root", "content": "x"}]}]}, {"columns": [{}] * 5}):
        with pytest.raises(Invalid):
            read_talk(forged)


def test_when_the_chat_worker_dies_the_question_is_given_back(stocked, monkeypatch):
    async def dies(*_):
        raise Unavailable("The chat worker ended.", "Send the message again.")
        yield

    monkeypatch.setattr(compare, "stream", dies)
    held = fresh("builtin", lineup("base"), OFFERS)

    async def ask():
        async for _ in answering(stocked, "Do you like tea?", held, lineup("base"), *SAMPLED):
            pass

    with pytest.raises(Unavailable):
        finished(ask())
    assert held.give_up()
    assert held.columns[0].messages == []


def test_a_question_without_words_is_not_sent(stocked):
    async def ask():
        async for _ in answering(stocked, "  \n", fresh("builtin", lineup("base"), OFFERS), lineup("base"), *SAMPLED):
            pass

    with pytest.raises(Invalid, match="no question yet"):
        finished(ask())


def test_differences_mark_what_is_new_and_what_is_gone():
    html = view.differences([("whale <b>", compare.word_differences("I like tea.", "I like <i>sea</i> tea."))])
    assert "<ins>" in html
    assert "whale &lt;b&gt;" in html
    assert "<i>" not in html
