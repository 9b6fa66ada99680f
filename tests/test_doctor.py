"""The doctor: what each rule says of curves with and without its trouble, and that a change it proposes can be taken in one click."""

import json
import math
import random
from dataclasses import replace

import pytest

from studio import plan_changes, runs
from studio.doctor import amounts, losses
from studio.doctor.chart import Chart
from studio.doctor.diagnosis import diagnosis
from studio.doctor.reading import chart_of, shown
from studio.errors import Invalid
from studio.pages import doctor_view, train
from studio.records import Status
from tests.finished_runs import leave_run, what_comes_with_it


def curve(shape, steps: int = 60, noise: float = 0.08, seed: int = 0) -> list[tuple[float, float]]:
    """`shape` of the share done, with the noise of batches."""
    dice = random.Random(seed)
    return [(step, shape(step / steps) * (1 + noise * dice.gauss(0, 1))) for step in range(1, steps + 1)]


def evaluations(shape, steps: int = 60, count: int = 8, seed: int = 1) -> list[tuple[float, float]]:
    dice = random.Random(seed)
    places = [round(steps * each / count) for each in range(1, count + 1)]
    return [(0, shape(0)), *((step, shape(step / steps) * (1 + 0.002 * dice.gauss(0, 1))) for step in places)]


def falling(share: float) -> float:
    return 0.8 + 3.2 * math.exp(-9 * share)


def chart(**changes) -> Chart:
    """A training as it should be."""
    steps = changes.get("steps", 60)
    values = {
        "steps": steps, "steps_per_epoch": 20, "learning_rate": 2e-3, "usual_rate": 2e-3, "train_rows": 320, "heldout_rows": 17, "step": steps, "ended": True,
        "loss": curve(falling, steps), "heldout": evaluations(falling, steps), "grad_norm": curve(lambda share: 0.9 - 0.4 * share, steps, 0.2),
        "trained_tokens": [(step, 400.0) for step in range(1, steps + 1)],
    }  # fmt: skip
    return Chart(**{**values, **changes})


def keys(made: Chart) -> list[str]:
    return [finding.key for finding in diagnosis(made)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.25])
def test_a_training_as_it_should_be_is_left_alone(seed, noise):
    made = chart(loss=curve(falling, noise=noise, seed=seed), heldout=evaluations(falling, seed=seed))
    assert keys(made) == []
    for step in range(1, 60, 3):
        assert diagnosis(replace(made.until(step), ended=False)) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_a_large_model_that_learned_early_with_batches_of_very_different_rows_is_left_alone(seed, spread):
    """Its loss falls in the first few steps and is noise from then on: log-normal, as of single rows."""
    dice = random.Random(seed)
    flat = [(step, (2.2 if step < 6 else 1.8) * math.exp(spread * dice.gauss(0, 1))) for step in range(1, 301)]
    norms = [(step, 0.5 * math.exp(spread * dice.gauss(0, 1))) for step in range(1, 301)]
    held = evaluations(lambda share: 2.2 if share == 0 else 1.8 - 0.05 * share, 300)
    made = chart(steps=300, loss=flat, heldout=held, grad_norm=norms)
    assert keys(made) == []
    assert [step for step in range(20, 300, 20) if diagnosis(replace(made.until(step), ended=False))] == []


def test_a_loss_that_is_no_number_has_diverged():
    made = chart(not_numbers=[12, 13, 14], learning_rate=0.2)
    [finding] = diagnosis(made)
    assert (finding.key, finding.seen) == ("diverged", "The loss was not a number 3 times, first at step 12.")
    assert finding.changes == {"training.learning_rate": 2e-3}
    assert keys(replace(made.until(14), ended=False)) == ["diverged"]  # at once, also while it runs


def test_a_loss_that_rises_has_diverged():
    [finding] = diagnosis(
        chart(loss=curve(lambda share: 4 + 4 * share), heldout=evaluations(lambda share: 4 + 4 * share))
    )
    assert finding.key == "diverged"
    assert "rose from" in finding.seen
    assert finding.changes == {"training.learning_rate": 2e-4}


@pytest.mark.parametrize(
    ("rate", "changes"),
    [(2e-5, {"training.learning_rate": 2e-3}), (2e-1, {"training.learning_rate": 2e-3}), (2e-3, {})],
)
def test_a_loss_that_never_fell_is_told_with_the_likely_reason(rate, changes):
    flat = chart(loss=curve(lambda share: 4.0), heldout=evaluations(lambda share: 4.0), learning_rate=rate)
    [finding] = diagnosis(flat)
    assert (finding.key, finding.changes) == ("never fell", changes)


def test_jumps_and_bursts_say_that_the_rate_is_too_high_and_one_odd_batch_does_not():
    def jumping(times: int):
        return [
            (step, value * (4 if step % 12 < 2 and 12 <= step < 12 * times + 2 else 1))
            for step, value in curve(falling)
        ]

    assert keys(chart(loss=jumping(4))) == ["too high"]
    assert keys(chart(loss=jumping(1))) == []
    bursts = [(step, 40.0 if step in (20, 31, 45) else 0.5) for step in range(1, 61)]
    [finding] = diagnosis(chart(grad_norm=bursts))
    assert finding.seen == "The gradient was over 10 times as long as before at step 20, 31, 45."


def test_a_loss_that_rises_for_a_while_or_stays_high_with_large_steps_says_that_the_rate_is_too_high():
    def over_a_hill(share: float) -> float:
        return falling(share) + 1.2 * math.exp(-(((share - 0.55) / 0.15) ** 2))

    [finding] = diagnosis(chart(loss=curve(over_a_hill)))
    assert (finding.key, "amid the training" in finding.seen) == ("too high", True)

    def stuck(share: float) -> float:
        return max(2.5, 4 - 6 * share)

    high = chart(loss=curve(stuck), heldout=evaluations(stuck), learning_rate=2e-1)
    [finding] = diagnosis(high)
    assert (finding.key, finding.changes) == ("too high", {"training.learning_rate": 2e-3})
    assert diagnosis(replace(high, learning_rate=2e-3)) == []  # as far as the base can learn it


def test_slow_falling_with_tiny_steps_says_that_the_rate_is_too_low():
    slow = chart(
        loss=curve(lambda share: 4 - 0.6 * share, noise=0.03),
        heldout=evaluations(lambda share: 4 - 0.05 * share),
        learning_rate=2e-5,
    )
    [finding] = diagnosis(slow)
    assert (finding.key, finding.changes) == ("too low", {"training.learning_rate": 2e-3})
    assert "too low" not in keys(replace(slow, learning_rate=1e-3))  # a rate near the usual is not to blame


def by_heart(share: float) -> float:
    return falling(share) if share < 0.4 else falling(0.4) * (1 + 0.5 * (share - 0.4))


def test_a_heldout_loss_that_rises_while_training_goes_on_falling_is_learning_by_heart():
    made = chart(heldout=evaluations(by_heart))
    [finding] = diagnosis(made)
    assert (finding.key, finding.changes) == ("overfits", {"training.early_stopping": 3})
    assert "From step 22 on" in finding.seen
    best = diagnosis(replace(made, keeps_best=True))[0]
    assert best.changes == {"training.epochs": 1.1}
    assert amounts.overfits(chart(heldout=evaluations(by_heart), loss=curve(lambda share: 4.0))) is None


def test_a_heldout_loss_that_stands_still_while_training_is_learned_by_heart_is_told_too():
    """As thirteen rows over twenty epochs did on the built-in model: 3.66 at step 40, 3.70 at the end, training from 0.38 to 0.04."""
    made = chart(
        loss=curve(lambda share: 4 * math.exp(-7 * share)),
        heldout=evaluations(lambda share: max(falling(share), falling(0.5) * (1 + 0.01 * share))),
    )
    [finding] = diagnosis(made)
    assert finding.key == "overfits"
    assert "has not fallen below" in finding.seen


def test_a_running_run_is_warned_once_two_evaluations_agree_and_not_back_and_forth():
    whole = chart(heldout=evaluations(by_heart))
    warned = ["overfits" in keys(replace(whole.until(step), ended=False)) for step in range(1, 61)]
    assert warned == sorted(warned)  # off, then on, and never off again
    assert any(warned)
    assert warned.index(True) > 37


def test_a_few_steps_are_too_few_and_a_steep_end_too():
    [finding] = diagnosis(chart(steps=2, step=2, steps_per_epoch=20))
    assert (finding.key, finding.changes) == ("too few steps", {"training.epochs": 3.0, "training.max_steps": None})
    [steep] = diagnosis(chart(heldout=evaluations(lambda share: 4 - 2 * share)))
    assert (steep.key, steep.changes["training.epochs"]) == ("too few steps", 6.0)
    assert amounts.too_few_steps(chart(steps=200, step=2, ended=False)) is None


def test_little_to_learn_from_and_little_held_out_are_said_after_the_rest():
    tiny = chart(train_rows=12, heldout_rows=3, steps_per_epoch=3, heldout=evaluations(by_heart))
    assert keys(tiny) == ["overfits", "too little text", "little held out"]
    [finding] = diagnosis(chart(heldout_rows=5, train_rows=95))
    assert finding.changes == {"training.validation": 0.1}
    assert diagnosis(chart(heldout_rows=0, own_heldout=True))[0].changes == {}


@pytest.mark.parametrize(
    "rule",
    [losses.diverged, losses.never_fell, losses.too_high, losses.too_low, amounts.overfits, amounts.too_little_text],
)
def test_of_a_run_without_a_step_nothing_is_said(rule):
    empty = Chart(steps=60, steps_per_epoch=20, learning_rate=1e-3)
    assert rule(empty) is None
    assert rule(replace(empty, ended=True)) is None


@pytest.fixture
def stocked(studio):
    what_comes_with_it(studio)
    return studio


def test_the_chart_of_a_run_is_read_from_its_files(stocked):
    run = runs.get_run(stocked, leave_run(stocked, "whale"))
    made = chart_of(stocked, run)
    assert (made.steps, made.steps_per_epoch, made.heldout_rows, made.ended) == (24, 24, 20, True)
    assert [step for step, _ in made.heldout] == [0, 8, 16, 24]
    assert len(made.loss) == 24
    assert made.usual_rate == 1.9e-3
    metrics = stocked.data.run(run.id).attempt(1).metrics
    metrics.write_text(metrics.read_text() + json.dumps({"step": 25, "loss": None, "learning_rate": 1e-3}) + "\n")
    assert chart_of(stocked, run).not_numbers == [25]


def test_a_change_is_one_click_away_and_named_on_the_train_page(stocked):
    id = leave_run(stocked, "whale")
    finding = diagnosis(chart(heldout=evaluations(by_heart)))[0]
    drawn = doctor_view.findings([finding], id)
    assert f"/train?from={id}&amp;set=training.early_stopping%3A3" in drawn
    plan, changed = train.earlier_plan(stocked, id, plan_changes.as_text(finding.changes))
    assert plan["training"]["early_stopping"] == 3
    assert changed == ["Early stopping: none → 3"]
    same = {**plan, "training": {**plan["training"], "early_stopping": None}}
    assert same == runs.clone_values(stocked, id)  # exactly that change


def test_better_and_learned_by_heart_stand_together_in_one_sentence():
    finding = diagnosis(chart(heldout=evaluations(by_heart)))[0]
    assert finding.key == "overfits"
    assert "Both are true" in doctor_view.findings([finding], "whale", verdict="better")
    for other in (None, "no change", "overfitted"):
        assert "Both are true" not in doctor_view.findings([finding], "whale", verdict=other)


@pytest.mark.parametrize(
    "text",
    [
        "training.nothing:1",
        "training.epochs",
        "base_model.x:1",
        "training.epochs:[1]",
        "method.name2:1",
        "training.epochs:-1",
        "a:b:c",
    ],
)
def test_a_change_that_cannot_be_is_refused_by_its_name(stocked, text):
    values = runs.clone_values(stocked, leave_run(stocked, "whale"))
    with pytest.raises(Invalid):
        plan_changes.changed(values, plan_changes.from_text(text))


def test_a_strange_change_in_the_address_leaves_the_run_as_it_was(stocked):
    id = leave_run(stocked, "whale")
    with pytest.warns(UserWarning, match="cannot be '<script>'"):  # outside of an event gr.Warning is one
        plan, changed = train.earlier_plan(stocked, id, "training.epochs:<script>")
    assert (plan, changed) == (runs.clone_values(stocked, id), [])


def test_changes_survive_the_way_through_an_address():
    changes = {
        "training.learning_rate": 1e-5,
        "training.max_steps": None,
        "training.keep": "best",
        "training.packing": False,
    }
    assert plan_changes.from_text(plan_changes.as_text(changes)) == changes
    assert plan_changes.nested(changes)["training"]["keep"] == "best"


def test_the_api_tells_the_findings_with_changes_that_a_clone_takes(stocked):
    id = leave_run(stocked, "short", Status.FAILED, problem="It diverged.")
    found = shown(stocked, id)
    assert all(set(each) == {"key", "title", "seen", "cause", "change", "changes"} for each in found)
    assert all(isinstance(each["changes"], dict) for each in found)
