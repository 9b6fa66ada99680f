"""What the pages of suites draw, without a browser: nobody's text becomes HTML, and the form of a prompt loses nothing unsaid."""

import pytest
import regex

from studio.errors import Invalid
from studio.pages import answers
from studio.pages.suites import forgotten, one, run_view, view
from studio.pages.suites.prompt_form import filled, loses, read
from studio.suites import lists, runs
from studio.suites.builtin import add_builtin_suites
from studio.suites.prompts import read_prompts
from studio.suites.runs import SuiteRunRequest
from tests.answered_suites import asked, done, neutral, with_a_pirate
from tests.finished_runs import NASTY
from tests.lora_adapters import add_lora

ROUND = [
    {"text": "Plain"},
    {"text": "With an answer", "expected": "4", "topic": "sums"},
    {"text": "Only shown", "expected": "A long story.", "exact": False},
    {
        "text": "Two texts",
        "checks": [
            {"kind": "contains", "text": "a"},
            {"kind": "contains", "text": "b"},
            {"kind": "not_contains", "text": "c"},
        ],
    },
    {"text": "Case", "checks": [{"kind": "contains", "text": "A", "ignore_case": False}]},
    {
        "text": "Form",
        "system": "Be brief.",
        "checks": [
            {"kind": "json", "schema": {"type": "object"}},
            {"kind": "length", "unit": "tokens", "least": 1, "most": 9},
        ],
    },
    {"text": "Both", "expected": "yes", "checks": [{"kind": "matches", "pattern": "y.s"}, {"kind": "exact"}]},
    {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And?"},
        ]
    },
]


@pytest.fixture
def place(studio):
    return with_a_pirate(studio)


@pytest.mark.parametrize("values", ROUND, ids=lambda values: values.get("text", "turns"))
def test_a_prompt_comes_out_of_its_form_as_it_went_in(values):
    [prompt] = read_prompts([values])
    number, *inputs = filled(prompt, 0)
    assert number == 0
    assert read(prompt, *inputs) == prompt
    assert not loses(prompt)


def test_what_the_form_cannot_show_is_said_before_it_is_lost():
    twice = [{"kind": "matches", "pattern": "a"}, {"kind": "matches", "pattern": "b"}]
    assert loses(read_prompts([{"text": "Two", "checks": twice}])[0])
    assert loses(
        read_prompts([{"text": "Not normalised", "expected": "a", "checks": [{"kind": "exact", "normalised": False}]}])[
            0
        ]
    )


def test_every_built_in_prompt_can_be_edited_in_a_copy(studio):
    add_builtin_suites(studio)
    for prompt in lists.prompts_of(lists.get_suite(studio, "neutral")):
        [change] = read_prompts([prompt.model_dump(mode="json")])
        assert change == prompt


def only_our_tags(html: str) -> bool:
    return NASTY not in html and "<img" not in html and "<script" not in html and not regex.search(r"<b>\s*x</b>", html)


def test_nobodys_text_becomes_html(place):
    suite = lists.make_suite(
        place,
        NASTY,
        [{"text": NASTY, "id": NASTY[:60], "topic": NASTY[:60], "expected": NASTY, "system": NASTY}],
        about=NASTY,
    )
    run = done(place, [[True, False]], {(0, 0): NASTY, (0, 1): f"x {NASTY}"})
    run.name = NASTY
    run.columns = [{**run.columns[0], "name": NASTY}, run.columns[1]]
    drawn = [
        view.listed([suite]), view.prompts(lists.prompts_of(lists.get_suite(place, suite.id)), True), view.runs_of([run]),
        answers.head_of(run), answers.body_of(place, run, {}), answers.body_of(place, run, {"prompt": "1", "show": "worse"}),
    ]  # fmt: skip
    assert all(only_our_tags(html) for html in drawn)


def test_the_address_chooses_what_is_shown_and_nonsense_chooses_everything(place):
    run = done(place, [[True, False]] * 60 + [[False, True]] * 3)
    everything, worse = answers.body_of(place, run, {}), answers.body_of(place, run, {"show": "worse", "page": "1"})
    assert everything.count("<tr") == 51
    assert "Page 1 of 2" in everything
    assert worse.count("<tr") == 11
    better = answers.body_of(place, run, {"show": "better", "page": "99"})
    assert better.count("<tr") == 4
    for nonsense in ({"show": "x"}, {"page": "-1"}, {"prompt": "9999999999"}, {"prompt": "0"}, {"page": "٣"}):
        assert answers.body_of(place, run, nonsense) == everything
    assert "Word differences" in answers.body_of(place, run, {"prompt": "63"})


def test_a_run_says_how_far_it_is_and_what_stands_against_the_base(place):
    run = asked(place)
    assert "Waits for a device." in run_view.news(run)
    runs.cancel_suite_run(place, run.id)
    run = done(place, [[True, False]] * 10)
    assert "export?format=csv" in answers.head_of(run)
    waiting = runs.queue_suite_run(place, run.suite, SuiteRunRequest(base_model="builtin"))
    assert "export?" not in answers.head_of(waiting)
    assert "lost 10, gained 0; -100 points" in answers.body_of(place, run, {})
    assert "(McNemar exact): worse." in answers.body_of(place, run, {})


def test_of_fewer_than_ten_judged_prompts_no_interval_is_told(place):
    run = done(place, [[True, False]] * 9)
    drawn = answers.body_of(place, run, {})
    assert "0 of 9 passed (too few to say how sure that is)" in drawn
    assert "lost 9, gained 0; too few to say how sure that is." in drawn
    assert "95 %" not in drawn
    assert "low" not in run.result["columns"][0]


def test_adapters_checkpoints_and_a_mix_can_be_chosen_to_answer(place):
    add_lora(place, "robot", rank=2, seed=2)
    _, chosen, mixable = one.choices(place, "builtin", ["pirate"])
    assert {value for _, value in chosen["choices"]} == {"pirate", "robot"}
    assert chosen["value"] == ["pirate"]
    assert {value for _, value in mixable["choices"]} == {"pirate", "robot"}
    assert one.mix_of(["pirate", "robot"], "0.7, -0.3") == "pirate*0.7 robot*-0.3"
    assert one.mix_of(["pirate", "robot"], "") == "pirate*1 robot*1"
    for ids, weights, field in ((["pirate"], "", "mix"), (["pirate", "robot"], "1", "weights")):
        with pytest.raises(Invalid) as refused:
            one.mix_of(ids, weights)
        assert refused.value.field == field


def test_an_adapters_page_offers_to_look_then_tells_what_was_forgotten(place):
    add_builtin_suites(place)
    adapter = forgotten.of_adapter(place, "pirate")
    assert "What has it forgotten?" in forgotten.drawn(place, adapter)
    forgotten.ask_neutral(place, adapter)
    forgotten.ask_neutral(place, adapter)
    [waiting] = runs.list_suite_runs(place, adapter="pirate").items
    assert "is being looked at" in forgotten.drawn(place, adapter)
    runs.cancel_suite_run(place, waiting.id)
    neutral(place, [[True, False]] * 10 + [[True, True]] * 30)
    told = forgotten.drawn(place, adapter)
    assert "It has forgotten some of what its base knew." in told
    assert "40 of 40 right before, 30 after" in told
    assert forgotten.of_run(place, "none") is None
