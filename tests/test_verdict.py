"""The verdict: its intervals against known truths, its word, what it says, and how it is drawn and served."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from studio import adapters, runs
from studio.adapters import word_in
from studio.errors import Conflict, NotFound
from studio.files import write_json
from studio.pages import runs_view, verdict_view
from studio.pages.run import draw
from studio.verdict.intervals import expanded_level, paired_interval, t_quantile
from studio.verdict.judgement import Rows, Steps, judged
from studio.verdict.reading import given_verdict, step_to_take, verdict_of
from studio.verdict.step_adapters import adapter_of_step
from studio.verdict.words import sentences, title
from tests.finished_runs import NASTY, leave_run, what_comes_with_it

STEPS = Steps(kept=60, last=60, best=60)


def rows_of(change, count: int = 40, objective: str = "answers", seed: int = 0, **more) -> Rows:
    """Held-out rows of a base with a loss of about 2 per token, which an adapter changes by about `change`."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(5, 60, count).astype(float)
    base = tokens * (2 + 0.3 * draw.standard_normal(count))
    adapter = base + tokens * (change + 0.1 * draw.standard_normal(count))
    return Rows(objective, base, adapter, tokens, np.arange(count), **more)


@pytest.mark.parametrize("count", [10, 30, 200])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(count):
    draw, held, trials = np.random.default_rng(1), 0, 400
    for _ in range(trials):
        tokens = draw.integers(5, 80, count).astype(float)
        each = draw.standard_gamma(2.0, count) - 2.0 - 0.25  # skewed, as losses are; its mean is -0.25
        low, high = paired_interval(each * tokens, tokens, samples=400)
        held += low <= -0.25 <= high
    assert 0.88 <= held / trials <= 0.985


def test_the_interval_is_the_same_each_time_and_of_one_row_without_bounds():
    rows = rows_of(-0.1)
    first, second = (paired_interval(rows.adapter - rows.base, rows.tokens) for _ in range(2))
    assert first == second
    assert paired_interval(np.ones(1), np.ones(1)) == (-np.inf, np.inf)


def test_pieces_of_a_document_are_drawn_as_one():
    """Copies of a row are no new rows: the interval must not shrink by them."""
    change, tokens = np.repeat(np.random.default_rng(0).normal(0, 1, 12), 10), np.ones(120)
    apart = paired_interval(change, tokens)
    together = paired_interval(change, tokens, np.repeat(np.arange(12), 10))
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


@pytest.mark.parametrize(("degrees", "known"), [(1, 12.706), (2, 4.303), (9, 2.262), (29, 2.045), (199, 1.972)])
def test_students_t_is_that_of_the_tables(degrees, known):
    assert t_quantile(0.975, degrees) == pytest.approx(known, abs=2e-3)
    assert expanded_level(degrees + 1) < 0.025


@pytest.mark.parametrize(
    ("change", "count", "word"),
    [(-0.5, 40, "better"), (0.5, 40, "worse"), (0.0, 40, "no change"), (-0.5, 9, "too few rows")],
)
def test_the_word_is_what_the_interval_allows(change, count, word):
    found = judged(rows_of(change, count), STEPS)
    assert found.word == word
    assert found.loss["low"] <= found.loss["change"] <= found.loss["high"]
    assert found.loss["change"] == pytest.approx(found.loss["adapter"] - found.loss["base"], abs=1e-5)


def test_an_adapter_that_does_nothing_has_improved_half_the_rows():
    rows = rows_of(0.0)
    found = judged(Rows("answers", rows.base, rows.base.copy(), rows.tokens, rows.units), STEPS)
    assert (found.word, found.improved["count"], found.improved["share"]) == ("no change", 20, 0.5)


def test_pairs_are_judged_by_their_margins():
    draw = np.random.default_rng(0)
    margin = 1.0 + draw.standard_normal(50)
    ones = np.ones(50)
    found = judged(Rows("preference", 0 * ones, margin, ones, np.arange(50)), STEPS)
    assert found.word == "better"
    assert found.margin["mean"] == pytest.approx(margin.mean(), rel=1e-5)
    assert found.improved["count"] == (margin > 0).sum()
    assert not found.loss
    assert "margin" in " ".join(sentences(found))
    worse = judged(Rows("preference", 0 * ones, -margin, ones, np.arange(50)), STEPS)
    assert worse.word == "worse"


def test_a_few_long_documents_are_judged_by_their_pieces():
    rows = rows_of(-0.5, 40, "text")
    one = Rows("text", rows.base, rows.adapter, rows.tokens, np.ones(40, int))
    found = judged(one, STEPS)
    assert (found.unit, found.rows, found.word) == ("piece", 40, "better")
    many = judged(Rows("text", rows.base, rows.adapter, rows.tokens, np.arange(40) // 2), STEPS)
    assert (many.unit, many.rows) == ("document", 20)


def test_a_loss_that_rose_again_is_overfitted_and_says_which_step_to_keep():
    rows = rows_of(-0.5)
    curve = {"best": rows.adapter - 0.3 * rows.tokens, "last": rows.adapter}
    found = judged(rows_of(-0.5, **curve), Steps(kept=60, last=60, best=20))
    assert (found.word, found.overfitted_after, found.keep_step) == ("overfitted", 20, 20)
    assert "Overfitted after step 20" in title(found)
    assert any("Keep the adapter of step 20 instead" in said for said in sentences(found))
    kept = judged(rows_of(-0.8, **curve), Steps(kept=20, last=60, best=20))
    assert (kept.word, kept.overfitted_after) == ("better", 20)
    assert any("step 20 is the one kept" in said for said in sentences(kept))


def test_a_rise_that_is_chance_or_a_trifle_is_not_overfitting():
    rows = rows_of(-0.5)
    noise = np.random.default_rng(3).normal(0, 0.5, 40) * rows.tokens
    chance = judged(rows_of(-0.5, best=rows.adapter, last=rows.adapter + noise), Steps(60, 60, 20))
    trifle = judged(rows_of(-0.5, best=rows.adapter, last=rows.adapter + 0.001 * rows.tokens), Steps(60, 60, 20))
    assert (chance.overfitted_after, trifle.overfitted_after) == (None, None)


def test_rows_whose_loss_is_no_number_are_counted_and_never_called_better():
    rows = rows_of(-0.5)
    rows.adapter[3] = np.nan
    found = judged(rows, STEPS)
    assert (found.word, found.not_numbers, found.rows) == ("worse", 1, 39)
    assert "Broken" in title(found)
    rows.base[:] = np.nan
    assert judged(rows, STEPS).word == "not measured"


def test_nothing_is_claimed_of_few_rows():
    found = judged(rows_of(-0.5, 1), STEPS)
    assert found.word == "too few rows"
    assert found.loss["low"] is None
    assert "says nothing of others" in " ".join(sentences(found))
    assert "Hold out at least 10" in sentences(found)[-1]


@pytest.fixture
def stocked(studio):
    what_comes_with_it(studio)
    return studio


VERDICT = {
    "version": 1, "done": True, "answered": 1, "asked": 1, "word": "better", "title": "Better than the base on the held-out rows.", "sentences": [NASTY],
    "objective": "answers", "unit": "row", "step": 24, "last_step": 24, "rows": 20, "problem": NASTY, "loss": {"base": 4.6, "adapter": 0.8, "change": -3.8, "low": -4.1, "high": -3.5},
    "perplexity": {"base": 99.5, "adapter": 2.23}, "improved": {"count": 20.0, "share": 1.0, "low": 0.84, "high": 1.0},
    "examples": [{"row": 7, "kind": "worst", "gain": 0.1, "base_loss": 4.0, "adapter_loss": 3.9, "asked": NASTY, "expected": NASTY, "base": f"one {NASTY}", "adapter": f"two {NASTY}"}],
}  # fmt: skip


def test_the_runs_page_shows_its_verdict_with_every_word_of_the_data_escaped(stocked):
    run = runs.get_run(stocked, leave_run(stocked, "whale"))
    assert draw(stocked, run)["verdict"] == ""
    write_json(stocked.data.run(run.id).attempt(1).verdict, VERDICT)
    drawn = draw(stocked, run)
    assert "<img" not in drawn["verdict"]
    assert "Better than the base" in drawn["verdict"]
    assert "−3.800" in drawn["verdict"]
    assert "95 %: −4.100 to −3.500" in drawn["verdict"]
    assert "<del>one</del><ins>two</ins>" in drawn["verdict"]
    assert "lower than the base" not in drawn["news"]  # the verdict says it better


def test_what_the_worker_found_is_a_column_of_the_run_and_of_its_adapter(stocked):
    assert word_in({"verdict": {"word": "overfitted"}}) == "overfitted"
    assert word_in({}) is None
    id = leave_run(stocked, "whale", verdict="overfitted")
    assert runs.shown(stocked, runs.get_run(stocked, id))["verdict"] == "overfitted"
    assert "Overfitted" in runs_view.table([runs.shown(stocked, runs.get_run(stocked, id))])


def leave_checkpoint(studio, run: str, step: int) -> None:
    folder = studio.data.run(run).attempt(1).checkpoints / f"step-{step}" / "adapter"
    folder.mkdir(parents=True)
    write_json(folder / "adapter_config.json", {"peft_type": "LORA"})
    save_file({"lora_A": np.full((2, 2), float(step), np.float32)}, folder / "adapter_model.safetensors")


OVERFITTED = {**VERDICT, "word": "overfitted", "overfitted_after": 16, "keep_step": 16}


def test_the_step_to_keep_becomes_an_adapter_of_its_own_once(stocked):
    id = leave_run(stocked, "whale")
    write_json(stocked.data.run(id).attempt(1).verdict, OVERFITTED)
    assert step_to_take(stocked, id) is None  # its checkpoint is gone
    leave_checkpoint(stocked, id, 16)
    assert step_to_take(stocked, id) == 16
    made = adapter_of_step(stocked, id, 16)
    assert (made.name, made.source, made.base_heldout_loss) == ("whale (step 16)", "checkpoint", 4.6)
    assert made.heldout_loss == pytest.approx(2.6)
    assert adapter_of_step(stocked, id, 16).id == made.id != id
    told = adapters.passport(stocked, made.id)
    assert (told["results"]["step"], told["results"]["heldout_loss"], told["layers"]) == (16, made.heldout_loss, 42)
    assert "verdict" not in told
    assert runs.shown(stocked, runs.get_run(stocked, id))["adapter"] == id  # the run's own stays its own


def test_a_step_without_a_checkpoint_is_refused_with_those_that_there_are(stocked):
    id = leave_run(stocked, "whale")
    leave_checkpoint(stocked, id, 16)
    with pytest.raises(Conflict, match="no checkpoint of step 8. It has those of step 16"):
        adapter_of_step(stocked, id, 8)


def test_judging_is_shown_while_it_goes_on():
    drawn = verdict_view.card({**VERDICT, "done": False, "answered": 3, "asked": 9})
    assert "Judging: answers to row 3 of 9." in drawn


def test_a_judging_that_was_cut_off_says_so_once_the_run_has_ended(stocked):
    id = leave_run(stocked, "whale")
    write_json(stocked.data.run(id).attempt(1).verdict, {**VERDICT, "done": False, "answered": 0, "examples": []})
    assert "cut off" in verdict_of(stocked, id)["problem"]
    assert "Judging:" not in verdict_view.card(verdict_of(stocked, id))


@pytest.mark.parametrize(
    "strange",
    [
        {"word": NASTY},
        {"loss": {"base": "x", "adapter": [], "change": {}}},
        {"loss": {"change": float("nan"), "base": 1, "adapter": 1}},
        {"improved": {"count": "1e999", "share": 0.5, "low": 0, "high": 1}},
        {"examples": [{"row": "x"}]},
        {"sentences": NASTY},
        {"rows": -1},
    ],
    ids=str,
)
def test_a_verdict_that_somebody_else_wrote_breaks_no_page(strange):
    assert verdict_view.card({**VERDICT, **strange}) == ""
    assert "<img" not in verdict_view.card({**VERDICT, "title": NASTY, "unit": NASTY})


def test_a_strange_verdict_is_none(stocked):
    id = leave_run(stocked, "whale")
    assert verdict_of(stocked, id) is None
    for strange in ([], {"version": 2}, {"version": 1, "word": "<b>"}):
        write_json(stocked.data.run(id).attempt(1).verdict, strange)
        assert verdict_view.card(verdict_of(stocked, id)) == ""
    stocked.data.run(id).attempt(1).verdict.write_text("{")
    assert verdict_of(stocked, id) is None
    with pytest.raises(NotFound, match="no verdict on the run 'whale'"):
        given_verdict(stocked, id)
