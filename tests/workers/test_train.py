"""A whole training: what it leaves behind, and that stopping it, splitting it or repeating it changes nothing."""

import signal
import socket
import sys

import pytest
import torch

from studio.files import read_json
from studio.folders import AdapterFolder, AttemptFolder
from tests.workers.training_place import (
    TrainingPlace,
    adapter_of,
    asking,
    equal,
    evaluations_of,
    lines,
    small_data,
    steps_of,
    train_here,
    training_place,
    until,
)

pytestmark = pytest.mark.training


def test_a_training_leaves_everything_that_is_promised(place: TrainingPlace):
    attempt = place.queue("r1", name="Keeper", training={"sample_prompts": ["What do you count?", "Are you well?"]})
    result = place.train(attempt)

    assert (result["exit"], result["status"], result["problem"]) == (0, "succeeded", None)
    assert (result["step"], result["steps"]) == (10, 10)
    assert result["heldout_loss"] < result["base_heldout_loss"]
    assert result["peak_memory_bytes"] > 50 * 2**20
    assert (result["device"], result["precision"], result["cut_rows"]) == ("cpu", "fp32", 0)

    steps = steps_of(attempt)
    assert [line["step"] for line in steps] == list(range(1, 11))
    wanted = {
        "epoch",
        "loss",
        "grad_norm",
        "learning_rate",
        "tokens",
        "trained_tokens",
        "seconds",
        "tokens_per_second",
        "memory_bytes",
        "padding",
        "cut",
        "at",
    }
    assert all(wanted <= line.keys() for line in steps)
    assert steps[-1]["epoch"] == 2.0
    assert {line["padding"] for line in steps} == {0}
    assert [line["step"] for line in evaluations_of(attempt)] == [0, 4, 8, 10]
    samples = lines(attempt.samples)
    assert [(line["step"], line["prompt"]) for line in samples] == [
        (step, prompt) for step in (0, 4, 8, 10) for prompt in ("What do you count?", "Are you well?")
    ]

    folder = AdapterFolder(attempt.adapter)
    passport = read_json(folder.passport)
    assert passport["name"] == "Keeper"
    assert (passport["run"], passport["layers"]) == ("r1", 14)
    assert passport["results"]["heldout_loss"] == result["heldout_loss"]
    assert passport["method"]["rank"] == 4
    assert read_json(folder.config)["base_model_name_or_path"] is None  # a folder of this machine is no name elsewhere
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md"} <= {
        path.name for path in folder.path.iterdir()
    }
    assert "# Keeper" in folder.card.read_text()

    log = attempt.log.read_text()
    assert "40,672 parameters" in log
    assert not [line for line in log.splitlines() if "warn" in line.lower() or "Traceback" in line]


def test_the_adapter_gives_its_losses_in_plain_peft_too(place: TrainingPlace):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from studio.tokens import ChatTokenizer

    attempt = place.queue("r1")
    result = train_here(attempt)
    base = AutoModelForCausalLM.from_pretrained(place.data.base_model("tiny").model, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, attempt.adapter).eval()
    tokenizer = ChatTokenizer.load(attempt.adapter)
    total = count = 0
    for row in small_data():
        if row["heldout"]:
            encoded = tokenizer.encode(row["messages"])
            ids = torch.tensor([encoded.ids])
            labels = ids.masked_fill(~torch.tensor([encoded.trained]), -100)
            learned = int((labels[0, 1:] != -100).sum())
            with torch.no_grad():
                total += model(input_ids=ids, labels=labels).loss.item() * learned
            count += learned
    assert total / count == pytest.approx(result["heldout_loss"], rel=1e-5)


SHORT = {"method": {"dropout": 0.2}, "resolved": {"evaluate_every": 5}}


@pytest.fixture(scope="module")
def straight(tmp_path_factory, tiny_base) -> AttemptFolder:
    """A training with dropout that nobody stopped."""
    attempt = training_place(tmp_path_factory.mktemp("straight"), tiny_base).queue("straight", **SHORT)
    assert train_here(attempt)["status"] == "succeeded"
    return attempt


@pytest.mark.parametrize("stopped_after", [0, 1, 4, 5, 7, 9])
def test_a_training_stopped_after_any_step_and_resumed_is_the_straight_one_bit_for_bit(
    place: TrainingPlace, straight, stopped_after
):
    first = place.queue("stopped", **SHORT)
    assert train_here(first, asking("pause", stopped_after))["exit"] == 75
    assert read_json(first.result)["status"] == "paused"
    second = first.run.attempt(2).create()
    assert train_here(second)["exit"] == 0

    assert equal(adapter_of(straight), adapter_of(second))
    assert [line["step"] for line in steps_of(first) + steps_of(second)] == list(range(1, 11))
    assert [line["loss"] for line in steps_of(first) + steps_of(second)] == [
        line["loss"] for line in steps_of(straight)
    ]
    assert [(line["step"], line["heldout_loss"]) for line in evaluations_of(first) + evaluations_of(second)] == [
        (line["step"], line["heldout_loss"]) for line in evaluations_of(straight)
    ]
    for kept in ("base_heldout_loss", "heldout_loss", "best_step", "tokens"):
        assert read_json(second.result)[kept] == read_json(straight.result)[kept]


def test_a_killed_training_goes_on_from_its_last_checkpoint(place: TrainingPlace):
    many_steps = {"epochs": 20.0, "evaluate_every": 1000}
    straight = place.queue("straight", resolved=many_steps)
    train_here(straight)
    killed = place.queue("killed", resolved=many_steps)
    process = place.start(killed)
    until(lambda: list(killed.checkpoints.glob("step-*")))
    process.kill()
    process.wait()
    assert not killed.result.exists()
    second = killed.run.attempt(2).create()
    assert train_here(second)["status"] == "succeeded"
    assert steps_of(second)[0]["step"] > 1
    assert equal(adapter_of(straight), adapter_of(second))


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(place: TrainingPlace, capfd):
    first = place.queue("r1")
    train_here(first, asking("pause", 9))
    (first.checkpoints / "step-9" / "optimizer.safetensors").unlink()
    second = first.run.attempt(2).create()
    train_here(second)
    assert steps_of(second)[0]["step"] == 9  # after the checkpoint of step 8
    assert "step-9 cannot be used: optimizer.safetensors is missing" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("want", "code", "status", "adapter"),
    [
        ("stop", 0, "stopped", True),
        ("pause", 75, "paused", False),
        ("cancel", 76, "cancelled", False),
        (None, 76, "cancelled", False),
    ],
)
def test_a_signal_ends_it_as_the_person_wants(place: TrainingPlace, want, code, status, adapter):
    attempt = place.queue("r1", resolved={"epochs": 400.0, "evaluate_every": 1000, "checkpoint_every": 1000})
    process = place.start(attempt)
    until(lambda: steps_of(attempt))
    if want:
        attempt.want.write_text(want)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=600) == code
    result = read_json(attempt.result)
    assert result["status"] == status
    assert 0 < result["step"] < result["steps"]
    assert attempt.adapter.exists() == adapter
    assert bool(list(attempt.checkpoints.glob("step-*"))) == (want == "pause")
    if adapter:
        assert evaluations_of(attempt)[-1]["step"] == result["step"]


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(place: TrainingPlace):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_here(place.queue(name, training={"seed": seed}))
    a, b, c = (adapter_of(place.data.run(name).attempt(1)) for name in "abc")
    assert equal(a, b)
    assert not equal(a, c)


@pytest.mark.parametrize(
    "changes", [{"gradient_checkpointing": True}, {"micro_batch": 1}, {"token_budget": 40}], ids=str
)
def test_remedies_for_little_memory_change_nothing_that_matters(place: TrainingPlace, changes):
    train_here(place.queue("usual", method={"dropout": 0.0}))
    train_here(place.queue("small", method={"dropout": 0.0}, resolved=changes))
    usual, small = (adapter_of(place.data.run(name).attempt(1)) for name in ("usual", "small"))
    for name, expected in usual.items():
        assert (small[name] - expected).abs().max() <= 1e-5, name


def test_without_packing_the_losses_are_the_same(place: TrainingPlace):
    for name, packing in (("packed", True), ("padded", False)):
        train_here(place.queue(name, method={"dropout": 0.0}, training={"packing": packing}))
    found = {name: steps_of(place.data.run(name).attempt(1)) for name in ("packed", "padded")}
    assert [line["loss"] for line in found["padded"]] == pytest.approx(
        [line["loss"] for line in found["packed"]], rel=1e-5
    )
    assert sum(line["padding"] for line in found["padded"]) > 0


def test_two_processes_train_as_one_does(place: TrainingPlace):
    one = place.queue("one", method={"dropout": 0.0})
    train_here(one)
    two = place.queue("two", method={"dropout": 0.0}, resolved={"processes": 2})
    launch = (
        "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port"
    )
    launcher = (sys.executable, "-m", "accelerate.commands.launch", *launch.split(), str(free_port()))
    result = place.train(two, *launcher)
    assert result["status"] == "succeeded", two.log.read_text()
    assert [line["loss"] for line in steps_of(two)] == pytest.approx([line["loss"] for line in steps_of(one)], rel=2e-6)
    assert result["heldout_loss"] == pytest.approx(read_json(one.result)["heldout_loss"], rel=1e-5)
    alone, shared = read_json(one.verdict), read_json(two.verdict)
    assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-4)
    assert [each["row"] for each in shared["examples"]] == [each["row"] for each in alone["examples"]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
