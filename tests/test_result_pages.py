"""What the pages of results draw, without a browser: runs, one run, adapters."""

import json
from datetime import timedelta

import pytest

from studio import adapters, runs
from studio.files import write_json
from studio.pages import adapters_view, run_view, runs_view, settings_view
from studio.pages.run import draw, learns_preferences, mark_of, offers
from studio.pages.runs import filters_in, page_of_runs
from studio.records import Status, utc_now
from studio.resolved_plan import ResolvedPlan
from tests.finished_runs import NASTY, RESOLVED, leave_run, what_comes_with_it


@pytest.fixture
def stocked(studio):
    what_comes_with_it(studio)
    return studio


def test_a_run_is_drawn_with_every_word_of_a_person_escaped(stocked):
    id = leave_run(stocked, NASTY)
    drawn = draw(stocked, runs.get_run(stocked, id))
    for name, html in drawn.items():
        assert "<img" not in html, name
    assert "&lt;img src=x" in drawn["head"]
    assert "&lt;img src=x" in drawn["samples"]


def test_a_finished_run_hands_its_adapter_over_with_what_it_gained(stocked):
    run = runs.get_run(stocked, leave_run(stocked, "whale"))
    news = draw(stocked, run)["news"]
    assert f"/compare?a={run.id}" in news
    assert f"/files/adapters/{run.id}" in news
    assert "83% lower than the base&#x27;s 4.600" in news


def of_objective(studio, objective: str, **measures) -> dict[str, str]:
    """A finished run that learned this, drawn."""
    id = leave_run(studio, objective)
    folder = studio.data.run(id)
    write_json(folder.resolved, {**RESOLVED, "objective": objective})
    with open(folder.attempts()[0].metrics, "a") as file:
        for step, share in ((0, 0.5), (24, 1.0)):
            file.write(json.dumps({"step": step, **{name: value * share for name, value in measures.items()}}) + "\n")
    return draw(studio, runs.get_run(studio, id))


def test_a_run_on_pairs_says_how_many_it_has_right_and_draws_them(stocked):
    drawn = of_objective(stocked, "preference", heldout_accuracy=0.875, heldout_margin=1.5)
    assert "towards the chosen answer in 88% of the held-out pairs" in drawn["news"]
    assert "88% of pairs right" in drawn["figures"]
    curves = {one["name"]: one["y"] for one in json.loads(drawn["accuracy"])["series"]}
    assert curves["held-out"] == [0.4375, 0.875]
    assert json.loads(drawn["margin"])["series"][-1]["y"] == [0.75, 1.5]
    learned = {name: learns_preferences(stocked, runs.get_run(stocked, id)) for name, id in named(stocked).items()}
    assert learned == {"preference": True}


def named(studio) -> dict[str, str]:
    return {run.name: run.id for run in runs.list_runs(studio).items}


def test_a_run_on_texts_says_its_perplexity_and_that_the_samples_are_gone_on_with(stocked):
    drawn = of_objective(stocked, "text")
    assert "Its perplexity on held-out documents is 2.23, and the base&#x27;s was 99.5." in drawn["news"]
    assert "perplexity 2.23, base 99.5" in drawn["figures"]
    assert "gone on with" in drawn["samples"]
    assert run_view.perplexity(8.0) == "2.98 k"


def test_a_failed_run_says_what_happened_what_to_do_and_the_end_of_its_log(stocked):
    run = runs.get_run(stocked, leave_run(stocked, "sql", Status.FAILED, problem="It needs 41 GiB."))
    news = draw(stocked, run)["news"]
    assert all(
        said in news for said in ("It needs 41 GiB.", "Halve the batch.", f"/train?from={run.id}", "Step 9 of 24.")
    )
    assert "Step 1 of 24." not in news


def test_a_waiting_run_says_its_place_in_the_queue(stocked):
    leave_run(stocked, "first", Status.QUEUED)
    second = runs.get_run(stocked, leave_run(stocked, "second", Status.QUEUED))
    assert "2nd in line" in draw(stocked, second)["figures"]


@pytest.mark.parametrize("state", Status)
def test_every_state_of_a_run_can_be_drawn_and_offers_something(stocked, state):
    run = runs.get_run(stocked, leave_run(stocked, "any", state, problem="No." if state is Status.FAILED else None))
    assert draw(stocked, run)["head"]
    assert any(offers(run).values())
    assert offers(run)["delete"] != offers(run)["cancel"] or state is Status.CANCELLING


def test_nothing_is_drawn_again_until_something_has_changed(stocked):
    id = leave_run(stocked, "haiku", Status.RUNNING)
    before = mark_of(stocked, runs.get_run(stocked, id))
    assert mark_of(stocked, runs.get_run(stocked, id)) == before
    with open(stocked.data.run(id).attempt(1).log, "a") as log:
        log.write("12:01:00  Something happened.\n")
    assert mark_of(stocked, runs.get_run(stocked, id)) != before


def test_the_smooth_curve_starts_at_the_first_value_and_follows_a_step():
    assert run_view.smoothed([5.0]) == [5.0]
    assert run_view.smoothed([2.0] * 40) == pytest.approx([2.0] * 40)
    curve = run_view.smoothed([4.0] * 60 + [1.0] * 60)
    assert curve[59] == pytest.approx(4.0)
    assert curve[-1] == pytest.approx(1.0, abs=0.05)
    assert curve[60:] == sorted(curve[60:], reverse=True)


def test_settings_that_were_left_to_the_studio_show_what_became_of_them(stocked):
    plan = runs.plan_of(stocked, leave_run(stocked, "whale"))
    html = settings_view.used(plan, ResolvedPlan.model_validate(RESOLVED))
    assert "1e-3" in html
    assert "380 rows are few." in html
    assert html.count(">auto<") >= 3


def test_runs_are_filtered_by_what_the_address_says_and_by_nothing_else():
    assert filters_in({"q": "sql", "state": "Failed,Nonsense,Done", "sort": "Name"}) == (
        "sql",
        ["Failed", "Done"],
        "Name",
        [],
    )
    assert filters_in({"sort": "'; drop table runs", "cursor": "abc"}) == ("", [], "Newest first", ["abc"])


def test_a_page_of_runs_holds_what_matches_and_says_when_nothing_does(stocked):
    leave_run(stocked, "whale")
    leave_run(stocked, "sql", Status.FAILED, problem="No.")
    html, following, whole = page_of_runs(stocked, "", ["Failed"], "Name", "")
    assert "sql" in html
    assert "whale" not in html
    assert (following, whole) == ("", True)
    assert "No run matches" in page_of_runs(stocked, "nothing", [], "Name", "")[0]
    assert "not one that the studio gave out" in page_of_runs(stocked, "", [], "Name", "forged")[0]


def test_without_a_run_the_page_leads_to_the_first_one(studio):
    assert "/train" in page_of_runs(studio, "", [], "Newest first", "")[0]
    assert "/train" in adapters_view.nothing(False)


def test_a_run_in_the_table_shows_how_long_ago_and_how_far(stocked):
    id = leave_run(stocked, "haiku", Status.RUNNING, seconds_left=90.0)
    [row] = runs.shown_all(stocked, [runs.get_run(stocked, id)])
    html = runs_view.table([row], utc_now() + timedelta(minutes=5))
    assert all(said in html for said in ("10 / 24 · 2 min left", "5 min ago", "base 4.600", 'role="progressbar"'))


def test_an_adapter_is_described_from_its_passport_even_a_strange_one(stocked):
    adapter = adapters.get_adapter(stocked, leave_run(stocked, "whale"))
    for passport in (
        adapters.passport(stocked, adapter.id),
        {},
        {"dataset": "not an object", "results": None, "method": 7},
        {
            "method": {"name": "lora", "rank": "wide", "rank_pattern": {"q_proj": "<img>"}},
            "training": [],
            "embedding_rows": "<img>",
        },
    ):
        html = adapters_view.table([(adapter, passport)]) + adapters_view.details(adapter, passport, "code")
        assert "<img" not in html
        assert "4.600 → 0.800" in html


def test_the_program_that_loads_an_adapter_is_python_whatever_the_folder_is_called():
    code = adapters_view.loading_code("it's-a-whale", 'C:\\models\\"x"', "main")
    compile(code, "copied", "exec")
    assert "revision='main'" in code


def test_the_program_loads_the_base_as_the_adapter_was_trained_on_it():
    passport = {"training": {"quantization": "nf4"}, "embedding_rows": 402}
    code = adapters_view.loading_code("whale", "owner/name", None, passport)
    compile(code, "copied", "exec")
    assert 'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"' in code
    assert "base.resize_token_embeddings(402)" in code


def test_what_was_chosen_of_a_method_besides_its_sizes_is_on_the_adapters_page():
    method = {"name": "lora", "rank": 8, "dora": True, "rank_pattern": {"q_proj": 4}, "new_tokens": ["<img>"]}
    facts = dict(adapters_view.method_facts({"method": method, "training": {"quantization": "nf4"}}))
    assert facts["Rank of single modules"] == "q_proj = 4"
    assert (facts["Learn the length apart (DoRA)"], facts["Trained tokens"]) == ("on", "<img>")
    assert facts["Base loaded in"] == "nf4"
    assert "Bias" not in facts


def test_a_run_that_diverged_and_kept_its_best_is_handed_over_with_a_warning(stocked):
    run = runs.get_run(stocked, leave_run(stocked, "whale"))
    run.problem, run.fix = "The training diverged: up to step 8.", "Choose a smaller learning rate."
    news = draw(stocked, run)["news"]
    assert "The training diverged: up to step 8. The best adapter until then is kept." in news
    assert "Choose a smaller learning rate." in news
    assert f"/files/adapters/{run.id}" in news
