"""The training worker, as a process and in this one: what it writes, how it ends, and that stopping it changes nothing."""

import errno
import math
import signal
import socket
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from jobs.workers import train as worker
from jobs.workers.checkpoint import newest_checkpoint
from jobs.workers.ending import Request
from jobs.workers.train import learning_rate
from studio.folders import AdapterFolder, AttemptFolder, read_json
from tests.workers.conftest import TrainingPlace, conversation, evaluations_of, lines, small_data, steps_of, training_place

pytestmark = pytest.mark.training


def adapter_of(attempt: AttemptFolder) -> dict[str, torch.Tensor]:
    return load_file(AdapterFolder(attempt.adapter).weights)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def asking(wanted: str, after_step: int) -> type[Request]:
    """A person who asks for this once so many steps are done."""

    class Asked(Request):
        def __init__(self, attempt):
            self.attempt = attempt

        def wanted(self, accelerator):
            return wanted if len(steps_of(self.attempt)) >= after_step else None

    return Asked


NEVER = asking("pause", 10**9)


def train_here(attempt: AttemptFolder, request: type[Request] = NEVER) -> dict:
    """In this process: quicker than a process of its own. Returns result.json with the exit code."""
    code = worker.main(str(attempt.path), request)
    return {**read_json(attempt.result), "exit": code}


def until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


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
    wanted = {"epoch", "loss", "grad_norm", "learning_rate", "tokens", "trained_tokens", "seconds", "tokens_per_second", "memory_bytes", "padding", "at"}
    assert all(wanted <= line.keys() for line in steps)
    assert steps[-1]["epoch"] == 2.0
    assert {line["padding"] for line in steps} == {0}
    assert [line["step"] for line in evaluations_of(attempt)] == [0, 4, 8, 10]
    samples = lines(attempt.samples)
    assert [(line["step"], line["prompt"]) for line in samples] == [(step, prompt) for step in (0, 4, 8, 10) for prompt in ("What do you count?", "Are you well?")]

    folder = AdapterFolder(attempt.adapter)
    passport = read_json(folder.passport)
    assert passport["name"] == "Keeper"
    assert (passport["run"], passport["layers"]) == ("r1", 14)
    assert passport["results"]["heldout_loss"] == result["heldout_loss"]
    assert passport["method"]["rank"] == 4
    assert read_json(folder.config)["base_model_name_or_path"] == "tiny"  # not this machine's folder
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md"} <= {path.name for path in folder.path.iterdir()}
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
def test_a_training_stopped_after_any_step_and_resumed_is_the_straight_one_bit_for_bit(place: TrainingPlace, straight, stopped_after):
    first = place.queue("stopped", **SHORT)
    assert train_here(first, asking("pause", stopped_after))["exit"] == 75
    assert read_json(first.result)["status"] == "paused"
    second = first.run.attempt(2).create()
    assert train_here(second)["exit"] == 0

    assert equal(adapter_of(straight), adapter_of(second))
    assert [line["step"] for line in steps_of(first) + steps_of(second)] == list(range(1, 11))
    assert [line["loss"] for line in steps_of(first) + steps_of(second)] == [line["loss"] for line in steps_of(straight)]
    assert [(line["step"], line["heldout_loss"]) for line in evaluations_of(first) + evaluations_of(second)] == [(line["step"], line["heldout_loss"]) for line in evaluations_of(straight)]
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
    newest, _ = newest_checkpoint(first, read_json(next(first.checkpoints.glob("step-*")) / "manifest.json")["plan"])
    (newest / "optimizer.safetensors").unlink()
    second = first.run.attempt(2).create()
    train_here(second)
    assert steps_of(second)[0]["step"] == 9  # after the checkpoint of step 8
    assert "step-9 cannot be used: optimizer.safetensors is missing" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("want", "code", "status", "adapter"),
    [("stop", 0, "stopped", True), ("pause", 75, "paused", False), ("cancel", 76, "cancelled", False), (None, 76, "cancelled", False)],
)
def test_a_signal_ends_it_as_the_person_wants(place: TrainingPlace, want, code, status, adapter):
    attempt = place.queue("r1", resolved={"epochs": 400.0, "evaluate_every": 1000, "checkpoint_every": 1000})
    process = place.start(attempt)
    until(lambda: steps_of(attempt))
    if want:
        attempt.want.write_text(want)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == code
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


@pytest.mark.parametrize("changes", [{"gradient_checkpointing": True}, {"micro_batch": 1}, {"token_budget": 40}], ids=str)
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
    assert [line["loss"] for line in found["padded"]] == pytest.approx([line["loss"] for line in found["packed"]], rel=1e-5)
    assert sum(line["padding"] for line in found["padded"]) > 0


def test_two_processes_train_as_one_does(place: TrainingPlace):
    one = place.queue("one", method={"dropout": 0.0})
    train_here(one)
    two = place.queue("two", method={"dropout": 0.0}, resolved={"processes": 2})
    launch = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port"
    launcher = (sys.executable, "-m", "accelerate.commands.launch", *launch.split(), str(free_port()))
    result = place.train(two, *launcher)
    assert result["status"] == "succeeded", two.log.read_text()
    assert [line["loss"] for line in steps_of(two)] == pytest.approx([line["loss"] for line in steps_of(one)], rel=2e-6)
    assert result["heldout_loss"] == pytest.approx(read_json(one.result)["heldout_loss"], rel=1e-5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_fewer_processes_than_planned_are_refused(place: TrainingPlace):
    result = train_here(place.queue("r1", resolved={"processes": 2}))
    assert (result["exit"], result["kind"]) == (78, "plan")
    assert "2 processes" in result["problem"]


def test_early_stopping_keeps_the_adapter_of_the_lowest_heldout_loss(place: TrainingPlace):
    rows = [conversation(row, "Say it.", "one two three") for row in range(1, 9)] + [conversation(9, "Say it.", "one two three", heldout=True), conversation(10, "Tell me.", "ships count café", heldout=True)]
    place.write_rows("small", rows)
    attempt = place.queue("r1", training={"early_stopping": 2, "learning_rate": 0.02, "schedule": "constant"}, resolved={"epochs": 100.0, "evaluate_every": 2})
    result = train_here(attempt)
    assert result["step"] < result["steps"]
    measured = {line["step"]: line["heldout_loss"] for line in evaluations_of(attempt)}
    assert result["best_step"] == min((step for step in measured if step), key=measured.get)
    assert result["heldout_loss"] == measured[result["best_step"]] < measured[result["step"]]


def test_rows_without_an_answer_within_the_sequence_are_counted_and_said(place: TrainingPlace, capfd):
    long_question = conversation(25, "count ships " * 30, "one")
    place.write_rows("small", [*small_data(), long_question])
    result = train_here(place.queue("r1", resolved={"sequence_length": 64}))
    assert (result["unlearnable_rows"], result["train_rows"]) == (1, 20)
    assert result["cut_rows"] >= 1
    assert "left out: 25." in capfd.readouterr().out


def test_data_without_anything_to_learn_is_refused_in_words(place: TrainingPlace):
    result = train_here(place.queue("r1", resolved={"sequence_length": 8}))
    assert (result["exit"], result["status"], result["kind"]) == (78, "failed", "plan")
    assert "None of the 24 rows has an answer within the first 8 tokens" in result["problem"]
    assert result["fix"]


def test_marked_rows_are_never_trained_on_even_when_nothing_is_measured(place: TrainingPlace):
    result = train_here(place.queue("r1", resolved={"heldout_rows": 0}))
    assert (result["train_rows"], result["heldout_rows"], result["heldout_loss"]) == (20, 0, None)
    assert {line["step"] for line in lines(place.data.run("r1").attempt(1).samples)} == {0, 4, 8, 10}


def test_a_plan_for_a_gpu_is_refused_where_there_is_none(place: TrainingPlace, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = train_here(place.queue("r1", resolved={"device": "cuda"}))
    assert (result["exit"], result["kind"]) == (78, "plan")
    assert "GPU" in result["problem"]


def test_a_loss_that_is_no_number_ends_as_diverged(place: TrainingPlace, monkeypatch):
    real = worker.Engine.accumulate
    monkeypatch.setattr(worker.Engine, "accumulate", lambda engine, *rest: real(engine, *rest) * math.nan)
    result = train_here(place.queue("r1"))
    assert (result["exit"], result["kind"]) == (78, "diverged")
    assert "step 3" in result["problem"]
    assert "learning rate below 1.0e-03" in result["fix"]


def test_one_broken_step_is_passed_over(place: TrainingPlace, monkeypatch):
    real, calls = worker.Engine.accumulate, []

    def broken_once(engine, *rest):
        calls.append(1)
        return real(engine, *rest) * (math.nan if len(calls) == 4 else 1)

    monkeypatch.setattr(worker.Engine, "accumulate", broken_once)
    attempt = place.queue("r1")
    assert train_here(attempt)["status"] == "succeeded"
    assert [line["loss"] for line in steps_of(attempt)].index(None) == 3


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")], ids=lambda error: type(error).__name__)
def test_running_out_of_memory_is_told_apart(place: TrainingPlace, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(worker.Engine, "accumulate", fail)
    result = train_here(place.queue("r1"))
    assert (result["exit"], result["kind"]) == (77, "out_of_memory")
    assert result["peak_memory_bytes"] > 0


def test_a_full_disk_pauses_the_training_and_it_goes_on_when_there_is_room(place: TrainingPlace, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    first = place.queue("r1")
    with monkeypatch.context() as patch:
        patch.setattr(worker, "save_adapter", full)
        result = train_here(first)
    assert (result["exit"], result["status"], result["kind"]) == (75, "paused", "disk_full")
    second = first.run.attempt(2).create()
    assert train_here(second)["status"] == "succeeded"
    assert steps_of(second)[0]["step"] == 9


def test_a_bug_keeps_its_traceback_and_is_called_one(place: TrainingPlace, monkeypatch):
    monkeypatch.setattr(worker.Engine, "accumulate", lambda *_: 1 / 0)
    attempt = place.queue("r1")
    with pytest.raises(ZeroDivisionError):
        worker.main(str(attempt.path), NEVER)
    assert (read_json(attempt.result)["status"], read_json(attempt.result)["kind"]) == ("failed", "bug")


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_rises_to_its_peak_and_falls_by_its_schedule(schedule):
    rates = [learning_rate(step, 20, 4, 1.0, schedule) for step in range(1, 21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] <= (1.0 if schedule == "constant" else 0.07)


def test_a_single_step_has_a_learning_rate():
    assert learning_rate(1, 1, 0, 1.0, "cosine") == 1.0
