"""Preference tuning: losses and gradients as the papers write them, the base as its own reference, stopped and resumed like any training."""

import json
import random

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM

from jobs.workers.examples import read_examples
from jobs.workers.training import Training
from studio.files import read_json
from studio.learning import Learning, sequences
from studio.resolved_plan import ResolvedPlan
from studio.tokens import ChatTokenizer
from tests.workers.training_place import (
    TrainingPlace,
    adapter_of,
    asking,
    equal,
    evaluations_of,
    steps_of,
    train_here,
)

pytestmark = pytest.mark.training

PAIRS = {"resolved": {"objective": "preference", "heldout_rows": 6, "evaluate_every": 5, "learning_rate": 3e-3}}


def pairs(count: int = 30) -> list[dict]:
    draw = random.Random(1)
    asked = ["What do you count?", "Who are you?", "Where is the lighthouse?", "Tell me about your day!"]
    rows = []
    for row in range(1, count + 1):
        ships = "one, two, " * draw.randint(0, 4)
        answers = [
            f"The keeper counts {ships}{row} ships.",
            f"Nobody knows {'anything at all ' * draw.randint(1, 4)}here.",
        ]
        said = [[{"role": "assistant", "content": answer}] for answer in answers]
        prompt = [{"role": "user", "content": f"{asked[row % 4]} ({row})"}]
        rows.append(
            {"row": row, "line": row, "messages": prompt, "chosen": said[0], "rejected": said[1], "heldout": False}
        )
    return rows


@pytest.fixture
def paired(place: TrainingPlace) -> TrainingPlace:
    place.write_rows("small", pairs())
    return place


def log_probability(model, ids: list[int], trained: list[bool]) -> torch.Tensor:
    """Of one answer alone, as transformers gives it: no packing, no code of ours."""
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    each = logits.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return each[torch.tensor(trained[1:])].sum()


def plain_loss(model, rows, tokenizer, beta: float, loss: str, alpha: float) -> torch.Tensor:
    """The mean over the pairs, written down from the papers."""
    losses = []
    for row in rows:
        both = sequences(tokenizer, row, Learning("preference"))
        now = [log_probability(model, each.ids, each.trained) for each in both]
        with torch.no_grad(), model.disable_adapter():
            before = [log_probability(model, each.ids, each.trained) for each in both]
        length = [each.trained_tokens for each in both]
        if loss == "ipo":
            gap = (now[0] - before[0]) / length[0] - (now[1] - before[1]) / length[1]
            losses.append((gap - 1 / (2 * beta)) ** 2)
        else:
            losses.append(-logsigmoid(beta * ((now[0] - before[0]) - (now[1] - before[1]))))
        losses[-1] = losses[-1] - alpha * now[0] / length[0]
    return torch.stack(losses).mean()


@pytest.fixture
def training(paired: TrainingPlace):
    """A training that is loaded and has an adapter that is not at rest, for given settings."""
    from accelerate import Accelerator

    from jobs.workers.report import Report
    from studio.plan import read_plan

    def load(packing: bool = True, token_budget: int = 200, **settings) -> Training:
        attempt = paired.queue(
            "loaded",
            method={"dropout": 0.0},
            training={"packing": packing, **settings},
            resolved={**PAIRS["resolved"], "token_budget": token_budget},
        )
        plan, resolved = (
            read_plan(read_json(attempt.run.plan)),
            ResolvedPlan.model_validate(read_json(attempt.run.resolved)),
        )
        made = Training(attempt, plan, resolved, Accelerator(cpu=True), Report(attempt), None)
        made.load()
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for each in made.parameters.values():
                each += 0.05 * torch.randn(each.shape, generator=generator)
        return made

    return load


@pytest.mark.parametrize(
    ("packing", "settings"),
    [
        (True, {}),
        (False, {}),
        (True, {"dpo_loss": "ipo", "dpo_beta": 0.3}),
        (True, {"rpo_alpha": 0.7, "dpo_beta": 0.5}),
    ],
    ids=["packed", "padded", "ipo", "with plain learning"],
)
def test_loss_and_gradients_are_those_of_the_papers(training, packing, settings):
    made = training(packing, **settings)
    batch = made.batch(1)
    rows = [row for pair in batch for row in pairs() if row["row"] == pair.chosen.row]
    assert len(rows) == 4
    micro_batches = made.objective.micro_batches(batch)
    assert len(micro_batches) > 1  # what is accumulated over several is the same
    sums = made.objective.accumulate(micro_batches, 1 / len(batch))
    found = {name: each.grad.clone() for name, each in made.parameters.items()}
    made.model.zero_grad(set_to_none=True)

    given = {"beta": 0.1, "loss": "sigmoid", "alpha": 0.0}
    given |= {
        {"dpo_beta": "beta", "dpo_loss": "loss", "rpo_alpha": "alpha"}[name]: value for name, value in settings.items()
    }
    made.model.set_attn_implementation("sdpa")
    expected = plain_loss(made.model.eval(), rows, made.tokenizer, **given)
    expected.backward()
    assert sums["loss"] / len(batch) == pytest.approx(expected.item(), rel=2e-6, abs=2e-6)
    exact = (
        4e-6 if settings.get("dpo_loss") == "ipo" else 2e-6
    )  # its gradient is as rounded as the sums of log-probabilities
    for name, each in made.parameters.items():
        assert (found[name] - each.grad).abs().max() <= exact * max(1.0, each.grad.abs().max()), name


def test_the_reference_is_the_base_even_where_the_adapter_has_moved(training):
    made = training()
    with made.engine.as_base():  # as a run does that finds nothing kept when it goes on
        again = made.objective.log_probabilities(made.data, made.own)
    assert again == pytest.approx(made.data.train.reference, abs=2e-4)
    row = pairs()[int(made.data.train.places[0])]
    both = sequences(made.tokenizer, row, Learning("preference"))
    made.model.set_attn_implementation("sdpa")
    with torch.no_grad(), made.model.disable_adapter():
        expected = [log_probability(made.model.eval(), each.ids, each.trained).item() for each in both]
    assert made.data.train[0].reference == pytest.approx(expected, abs=2e-4)
    with torch.no_grad():
        moved = log_probability(made.model, both[0].ids, both[0].trained).item()
    assert abs(moved - expected[0]) > 0.01


@pytest.mark.parametrize(
    "method",
    [
        {"name": "lora", "rank": 4, "init": "pissa"},
        {"name": "lora", "rank": 4, "dora": True},
        {"name": "ia3"},
        {"name": "prompt_tuning", "virtual_tokens": 4},
        {"name": "prefix_tuning", "virtual_tokens": 4},
    ],
    ids=lambda method: method.get("init", method["name"] + ("-dora" if "dora" in method else "")),
)
def test_the_reference_is_the_base_with_any_method(paired: TrainingPlace, method):
    attempt = paired.queue("r1", method=method, resolved={**PAIRS["resolved"], "epochs": 0.2, "steps": 1})
    assert train_here(attempt)["problem"] is None
    base = paired.data.base_model("tiny").model
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), ChatTokenizer.load(base)
    kept = load_file(attempt.run.reference)["log_probabilities"]
    for row in pairs()[:3]:
        both = sequences(tokenizer, row, Learning("preference"))
        with torch.no_grad():
            expected = [log_probability(model, each.ids, each.trained).item() for each in both]
        assert kept[row["row"] - 1].tolist() == pytest.approx(expected, abs=2e-3)


def test_it_comes_to_prefer_the_chosen_answers_of_pairs_it_has_not_seen(paired: TrainingPlace):
    attempt = paired.queue("r1", **PAIRS)
    result = train_here(attempt)
    assert (result["exit"], result["status"], result["train_rows"], result["heldout_rows"]) == (0, "succeeded", 24, 6)
    first, last = evaluations_of(attempt)[0], evaluations_of(attempt)[-1]
    assert first["heldout_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert (first["heldout_accuracy"], abs(first["heldout_margin"]) < 1e-3) == (0.5, True)  # the base is where it is
    assert last["heldout_accuracy"] == 1.0
    assert last["heldout_margin"] > 0.5
    assert result["heldout_loss"] < 0.5
    assert (result["heldout_accuracy"], result["heldout_margin"]) == (last["heldout_accuracy"], last["heldout_margin"])
    steps = steps_of(attempt)
    wanted = {"rewards_chosen", "rewards_rejected", "margin", "accuracy", "grad_norm", "tokens", "trained_tokens"}
    assert all(wanted <= step.keys() for step in steps)
    assert all(
        step["margin"] == pytest.approx(step["rewards_chosen"] - step["rewards_rejected"], abs=1e-4) for step in steps
    )


@pytest.mark.parametrize("kept", [True, False], ids=["as it was kept", "computed again"])
def test_a_preference_training_stopped_and_resumed_is_the_straight_one_bit_for_bit(paired: TrainingPlace, kept):
    plan = {**PAIRS, "method": {"dropout": 0.2}}
    straight = paired.queue("straight", **plan)
    assert train_here(straight)["exit"] == 0
    first = paired.queue("stopped", **plan)
    assert train_here(first, asking("pause", 4))["exit"] == 75
    if not kept:
        first.run.reference.write_bytes(b"damaged")
    second = first.run.attempt(2).create()
    assert train_here(second)["exit"] == 0
    assert equal(adapter_of(straight), adapter_of(second))
    assert [step["loss"] for step in steps_of(first) + steps_of(second)] == [
        step["loss"] for step in steps_of(straight)
    ]
    assert evaluations_of(second)[-1]["heldout_margin"] == evaluations_of(straight)[-1]["heldout_margin"]


@pytest.mark.parametrize(("want", "status"), [("stop", "stopped"), ("cancel", "cancelled")])
def test_a_preference_training_ends_as_the_person_wants(paired: TrainingPlace, want, status):
    attempt = paired.queue("r1", **PAIRS)
    result = train_here(attempt, asking(want, 3))
    assert (result["status"], attempt.adapter.exists()) == (status, want == "stop")


def test_pairs_can_be_learned_as_plain_answers_the_chosen_ones(paired: TrainingPlace):
    attempt = paired.queue("r1", resolved={**PAIRS["resolved"], "objective": "answers", "epochs": 0.5})
    assert train_here(attempt)["exit"] == 0
    resolved = ResolvedPlan.model_validate(read_json(attempt.run.resolved))
    base = paired.data.base_model("tiny").model
    tokenizer = ChatTokenizer.load(base)
    data = read_examples(paired.data.dataset("small"), base, tokenizer, resolved, 0, lambda said: None)
    learned = tokenizer.decode([id for id, on in zip(data.train[0].ids, data.train[0].trained, strict=True) if on])
    assert learned == pairs()[data.train[0].row - 1]["chosen"][0]["content"]
    assert json.dumps(steps_of(attempt)[0]).count("margin") == 0


def test_a_pair_whose_answers_are_the_same_once_they_are_cut_is_left_out(paired: TrainingPlace):
    alike = pairs(31)[-1]
    for side, end in (("chosen", "ships"), ("rejected", "boats")):
        alike[side] = [{"role": "assistant", "content": f"{'One, two, three. ' * 40}{end}"}]
    paired.write_rows("small", [*pairs(), alike])
    attempt = paired.queue("run", training={"max_steps": 1}, **PAIRS)
    result = train_here(attempt)
    assert (result["status"], result["unlearnable_rows"]) == ("succeeded", 1)
