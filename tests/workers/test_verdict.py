"""The verdict at a training's end: its rows, its answers, and that it never costs the adapter."""

import math
import os
import signal

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from jobs.workers.ending import Request
from jobs.workers.examples import read_examples
from jobs.workers.judging import verdict as judging
from jobs.workers.judging.shown import chosen_rows
from studio.files import read_json
from studio.folders import AdapterFolder, AttemptFolder
from studio.resolved_plan import ResolvedPlan
from studio.tokens import ChatTokenizer
from studio.verdict.step_adapters import steps_kept
from tests.workers.training_place import TrainingPlace, asking, conversation, small_data, train_here

pytestmark = pytest.mark.training
MANY = {"resolved": {"heldout_rows": 12, "evaluate_every": 4}, "training": {"learning_rate": 0.01}}


def queue(place: TrainingPlace, run: str = "r1", **changes) -> AttemptFolder:
    place.write_rows("small", small_data(36, heldout=12))
    return place.queue(run, **{**MANY, **changes})


def heldout_of(place: TrainingPlace, run: str = "r1"):
    folder = place.data.base_model("tiny").model
    resolved = ResolvedPlan.model_validate(read_json(place.data.run(run).resolved))
    return read_examples(place.data.dataset("small"), folder, ChatTokenizer.load(folder), resolved, 0).heldout


def loss_of_row(model, example) -> float:
    """Summed over the learned tokens, by transformers alone."""
    ids = torch.from_numpy(example.ids.astype(np.int64))[None]
    labels = torch.where(torch.tensor(example.trained)[None], ids, -100)
    with torch.no_grad():
        return model(input_ids=ids, labels=labels).loss.item() * example.trained_tokens


def test_the_verdicts_losses_are_those_of_plain_transformers_and_peft(place: TrainingPlace):
    attempt = queue(place)
    train_here(attempt)
    found = read_json(attempt.verdict)
    model = AutoModelForCausalLM.from_pretrained(place.data.base_model("tiny").model).eval()
    heldout = list(heldout_of(place))
    base = [loss_of_row(model, each) for each in heldout]
    adapted = PeftModel.from_pretrained(model, attempt.adapter).eval()
    after = [loss_of_row(adapted, each) for each in heldout]
    tokens = sum(each.trained_tokens for each in heldout)
    assert found["loss"]["base"] == pytest.approx(sum(base) / tokens, rel=1e-5)
    assert found["loss"]["adapter"] == pytest.approx(sum(after) / tokens, rel=1e-5)
    assert found["improved"]["count"] == sum(one < other for one, other in zip(after, base, strict=True))
    for shown in found["examples"]:
        at = next(place for place, each in enumerate(heldout) if each.row == shown["row"])
        assert shown["base_loss"] == pytest.approx(base[at] / heldout[at].trained_tokens, rel=1e-4)
        assert shown["adapter_loss"] == pytest.approx(after[at] / heldout[at].trained_tokens, rel=1e-4)


def test_a_training_that_learned_is_judged_better_everywhere_it_is_told(place: TrainingPlace):
    attempt = queue(place)
    result = train_here(attempt)
    found = read_json(attempt.verdict)
    assert (found["word"], found["done"], found["rows"], found["problem"]) == ("better", True, 12, None)
    assert found["loss"]["high"] < 0 < found["improved"]["share"]
    assert [shown["kind"] for shown in found["examples"]] == ["worst"] * 3 + ["best"] * 3 + ["random"] * 3
    assert len({shown["row"] for shown in found["examples"]}) == found["asked"] == found["answered"]
    questions = {row["row"]: [each["content"] for each in row["messages"]] for row in small_data(36, heldout=12)}
    assert all([shown["asked"], shown["expected"]] == questions[shown["row"]] for shown in found["examples"])
    assert any(shown["base"] != shown["adapter"] for shown in found["examples"])
    assert result["verdict"]["word"] == "better"
    passport = AdapterFolder(attempt.adapter)
    assert read_json(passport.passport)["verdict"]["loss"] == found["loss"]
    assert "examples" not in read_json(passport.passport)["verdict"]  # the data's words stay in the studio
    assert "Better than the base" in passport.card.read_text()


def test_the_same_training_has_the_same_verdict(place: TrainingPlace):
    first, second = queue(place), queue(place, "r2")
    found = [{**read_json(attempt.verdict), "seconds": 0} for attempt in (first, second) if train_here(attempt)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "method",
    [
        {"init": "pissa"},
        {"modules_to_save": ["lm_head"]},
        {"new_tokens": ["<|ship|>"]},
        {"name": "prefix_tuning"},
        {"name": "prompt_tuning"},
        {"name": "adalora"},
        {"name": "ia3"},
    ],
    ids=str,
)
def test_the_bases_answers_are_the_bases_own_whatever_the_method(place: TrainingPlace, method):
    plain, other = queue(place), queue(place, "r2", method=method)
    train_here(plain)
    train_here(other)
    expected = {shown["row"]: shown["base"] for shown in read_json(plain.verdict)["examples"]}
    found = read_json(other.verdict)
    assert found["problem"] is None
    same = [shown for shown in found["examples"] if shown["row"] in expected]
    assert same
    assert all(shown["base"] == expected[shown["row"]] for shown in same)
    known = read_json(plain.verdict)["loss"]["base"]  # (new tokens are a few more to choose from)
    assert found["loss"]["base"] == pytest.approx(known, rel=1e-3)


def test_stopped_and_kept_it_is_judged_as_far_as_it_came(place: TrainingPlace):
    attempt = queue(place)
    result = train_here(attempt, asking("stop", after_step=5))
    found = read_json(attempt.verdict)
    assert (result["status"], found["step"], found["last_step"], found["word"]) == ("stopped", 5, 5, "better")
    assert found["answered"] == found["asked"] == 9


def test_asked_to_end_while_it_judges_it_says_what_is_missing(place: TrainingPlace, monkeypatch):
    real = judging.answer_prompts

    def asked_meanwhile(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*given)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(judging, "answer_prompts", asked_meanwhile)
    attempt = queue(place, resolved={**MANY["resolved"], "token_budget": 60})
    try:
        assert train_here(attempt, Request)["status"] == "succeeded"
    finally:
        signal.signal(signal.SIGTERM, before)
    found = read_json(attempt.verdict)
    assert found["done"]
    assert 0 < found["answered"] < found["asked"]
    assert "asked to end" in found["problem"]


def test_a_resumed_training_has_the_verdict_of_the_one_that_went_straight_through(place: TrainingPlace):
    straight, paused = queue(place), queue(place, "r2")
    train_here(straight)
    assert train_here(paused, asking("pause", after_step=9))["status"] == "paused"
    second = paused.run.attempt(2).create()
    train_here(second)
    first, again = ({**read_json(each.verdict), "seconds": 0} for each in (straight, second))
    assert first == again


def test_pairs_are_judged_by_their_margin(place: TrainingPlace):
    attempt = pairs_attempt(place)
    train_here(attempt)
    found = read_json(attempt.verdict)
    assert found["problem"] is None
    assert (found["objective"], found["unit"], found["rows"], found["loss"]) == ("preference", "pair", 12, {})
    assert found["margin"]["mean"] == pytest.approx(read_json(attempt.result)["heldout_margin"], rel=1e-4)
    assert found["improved"]["share"] == pytest.approx(read_json(attempt.result)["heldout_accuracy"], abs=0.02)
    assert all(shown["asked"] and shown["expected"] for shown in found["examples"])


def pairs_attempt(place: TrainingPlace) -> AttemptFolder:
    rows = [
        {"row": row, "line": row, "messages": [{"role": "user", "content": f"Count {row}."}], "heldout": row > 24}
        | {
            "chosen": [{"role": "assistant", "content": f"one, two, {row}"}],
            "rejected": [{"role": "assistant", "content": "No."}],
        }
        for row in range(1, 37)
    ]
    place.write_rows("small", rows)
    return place.queue("r1", training=MANY["training"], resolved={**MANY["resolved"], "objective": "preference"})


def test_texts_are_judged_by_what_they_go_on_with(place: TrainingPlace):
    text = "The lighthouse keeper counts the ships: one, two, three. "
    rows = [{"row": row, "line": row, "text": text * 3 + str(row), "heldout": row > 24} for row in range(1, 37)]
    place.write_rows("small", rows)
    attempt = place.queue("r1", training=MANY["training"], resolved={**MANY["resolved"], "objective": "text"})
    train_here(attempt)
    found = read_json(attempt.verdict)
    assert (found["problem"], found["unit"], found["rows"], found["word"]) == (None, "document", 12, "better")
    assert all((text * 3).startswith(shown["asked"]) for shown in found["examples"])


def test_few_heldout_rows_are_not_called_better(place: TrainingPlace):
    attempt = place.queue("r1", training={"learning_rate": 0.01})
    train_here(attempt)
    found = read_json(attempt.verdict)
    assert (found["word"], found["rows"]) == ("too few rows", 4)
    assert any("Hold out at least 10" in sentence for sentence in found["sentences"])


def test_without_heldout_rows_it_says_that_nothing_was_measured(place: TrainingPlace):
    attempt = place.queue("r1", resolved={"heldout_rows": 0})
    assert train_here(attempt)["status"] == "succeeded"
    found = read_json(attempt.verdict)
    assert (found["word"], found["examples"], found["done"]) == ("not measured", [], True)


def test_a_verdict_that_is_not_wanted_is_not_made(place: TrainingPlace):
    attempt = place.queue("r1", training={"verdict": False})
    assert "verdict" not in train_here(attempt)
    assert not attempt.verdict.exists()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), ZeroDivisionError("division by zero")]
)
@pytest.mark.parametrize("where", ["rows_of", "answer_prompts"])
def test_whatever_goes_wrong_in_judging_the_adapter_is_kept(place: TrainingPlace, monkeypatch, error, where):
    def fail(*_):
        raise error

    monkeypatch.setattr(judging, where, fail)
    attempt = queue(place)
    result = train_here(attempt)
    assert (result["exit"], result["status"]) == (0, "succeeded")
    assert AdapterFolder(attempt.adapter).weights.exists()
    found = read_json(attempt.verdict)
    assert found["done"]
    assert ("memory ran out" if "CUDA" in str(error) else "division by zero") in found["problem"]
    assert found["word"] == ("failed" if where == "rows_of" else "better")


def test_a_training_killed_while_it_judges_has_succeeded_already(place: TrainingPlace, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr(judging, "answer_prompts", kill)
    attempt = queue(place)
    with pytest.raises(Killed):
        train_here(attempt)
    result = read_json(attempt.result)
    assert (result["status"], result["verdict"]["word"]) == ("succeeded", "better")
    assert not read_json(attempt.verdict)["done"]
    assert read_json(AdapterFolder(attempt.adapter).passport)["verdict"]["word"] == "better"


def test_learning_by_heart_is_told_with_the_step_to_keep(place: TrainingPlace):
    rows = [conversation(row, f"Say {row}.", "one two three") for row in range(1, 9)]
    rows += [conversation(row, f"Tell me {row}.", f"ships count café {row}", heldout=True) for row in range(9, 25)]
    place.write_rows("small", rows)
    how = {"learning_rate": 0.02, "schedule": "constant", "max_steps": 60}
    attempt = place.queue("r1", training=how, resolved={"epochs": 100.0, "evaluate_every": 4, "heldout_rows": 16})
    result = train_here(attempt)
    found = read_json(attempt.verdict)
    assert found["word"] == "overfitted"
    assert found["overfitted_after"] == found["keep_step"] == result["best_step"]
    assert found["keep_step"] in steps_kept(attempt.run)  # not dropped, though older than the newest two
    kept = place.queue(
        "r2", training={**how, "keep": "best"}, resolved={"epochs": 100.0, "evaluate_every": 4, "heldout_rows": 16}
    )
    train_here(kept)
    judged = read_json(kept.verdict)
    assert judged["step"] == judged["keep_step"] == result["best_step"] < judged["last_step"]
    assert judged["word"] != "overfitted"
    assert judged["loss"]["adapter"] < found["loss"]["adapter"]


def test_a_loss_that_is_no_number_is_never_good():
    gains = np.array([0.5, math.nan, -0.2, 0.1, 0.3, 0.2, 0.4])
    kinds = dict(chosen_rows(gains, 0))
    assert [place for place, kind in kinds.items() if kind == "worst"] == [1, 2, 3]
    assert [place for place, kind in kinds.items() if kind == "best"] == [0, 6, 4]
