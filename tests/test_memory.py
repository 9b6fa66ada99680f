"""What a plan will need: memory by part, parameters, steps, time, file size, and whether it fits."""

import pytest

from studio.devices import DeviceFacts, planned_device
from studio.files import write_json
from studio.memory import estimate_from
from studio.methods import METHODS
from studio.model_facts import OtherModule
from studio.records import BaseModel, Dataset, Device, Run, Status
from studio.speeds import measured_speed, slowness
from tests.test_resolve import CPU, GIB, GPU, llama, plan, stats

DATA = stats([40, 60, 90] * 100)


def estimated(facts=None, data=DATA, device=CPU, speed=None, method=None, **training):
    return estimate_from(plan(method=method, **training), facts or llama(), data, device, speed)


def test_the_parts_add_up_to_the_total():
    found = estimated()
    assert sum(found.memory.values()) == found.total_bytes
    assert set(found.memory) == {"program", "weights", "adapter and optimizer", "activations", "loss"}
    assert all(value > 0 for value in found.memory.values())


def test_trained_parameters_and_their_share_are_those_of_the_method():
    found, facts = estimated(method={"rank": 8}), llama()
    assert found.trainable_parameters == METHODS["lora"].trainable_parameters(plan(method={"rank": 8}).method, facts)
    assert found.share == pytest.approx(found.trainable_parameters / facts.parameters)


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"method": {"rank": 64}}, {"method": {"rank": 8}}),
        ({"method": {"dropout": 0.1}}, {"method": {"dropout": 0.0}}),
        ({"gradient_checkpointing": False}, {"gradient_checkpointing": True}),
        ({"micro_batch": 16}, {"micro_batch": 1}),
        ({"facts": llama(512)}, {"facts": llama(256)}),
        ({"optimizer": "adamw"}, {"optimizer": "adamw_8bit"}),
    ],
    ids=["rank", "dropout", "checkpointing", "micro-batch", "model", "optimizer"],
)
def test_what_needs_more_memory_is_said_to(more, less):
    assert estimated(**more).total_bytes > estimated(**less).total_bytes


def test_bf16_halves_the_weights():
    facts = llama(1024, 12)
    assert estimated(facts, device=GPU).memory["weights"] * 2 == estimated(facts).memory["weights"]


@pytest.mark.parametrize(("times", "fits"), [(4.0, "yes"), (1.05, "tight"), (0.9, "no")])
def test_whether_it_fits_is_said_in_time(times, fits):
    least = {"facts": llama(1024, 8), "data": stats([400] * 100), "gradient_checkpointing": True, "micro_batch": 1}
    memory = int(times * estimated(**least).total_bytes)
    assert estimated(**least, device=DeviceFacts("cpu", "Small", memory, memory, bf16=False)).fits == fits


def test_a_base_that_only_fits_in_4_bits_is_advised_to():
    least = {"micro_batch": 1, "gradient_checkpointing": True}
    large = {"facts": llama(2048, 24), "data": stats([40] * 100), **least}
    in_full, small = estimated(**large), estimated(**large, quantization="nf4")
    assert small.memory["weights"] < in_full.memory["weights"] / 5
    between = (in_full.total_bytes + small.total_bytes) // 2
    device = DeviceFacts("cpu", "Small", between, between, bf16=False)
    found = estimated(**large, device=device)
    assert found.fits == "no"
    assert any("nf4" in line and "GiB, which fits" in line for line in found.warnings)
    little = DeviceFacts("cpu", "Tiny", small.total_bytes // 2, small.total_bytes // 2, bf16=False)
    assert not any("nf4" in line for line in estimated(**large, device=little).warnings)


def test_a_measured_speed_replaces_the_guess():
    slow, fast = estimated(speed=100.0), estimated(speed=10_000.0)
    assert slow.seconds > 5 * fast.seconds
    assert (slow.measured_speed, estimated().measured_speed) == (True, False)


def test_more_epochs_take_longer():
    assert estimated(epochs=6).seconds > estimated(epochs=2).seconds
    assert estimated(epochs=6).tokens == pytest.approx(3 * estimated(epochs=2).tokens, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"data": stats([50] * 9), "batch_size": 16}, "fewer than the batch size"),
        ({"data": stats([50] * 90 + [500] * 10), "sequence_length": 64}, "are cut from their ends"),
        ({"validation": 0}, "No rows are held out"),
        ({"epochs": 0.1}, "Only 2 steps"),
        ({"epochs": 0.01}, "Only 1 step:"),
        ({"data": stats([50])}, "There is 1 row to train on"),
        ({"method": {"rank": 128}}, "rank-stabilised"),
        ({"validation": 0, "early_stopping": 2}, "all steps are done"),
    ],
)
def test_what_is_worth_knowing_before_the_start_is_said(changes, word):
    assert any(word in line for line in estimated(**changes).warnings)


def test_a_usual_plan_gives_no_warning():
    assert estimated().warnings == []


def test_the_device_is_the_first_gpu_that_the_runner_has_seen_or_the_cpu(studio):
    assert planned_device(studio).kind == "cpu"
    assert planned_device(studio).memory_bytes > GIB
    with studio.database.write() as session:
        session.add_all(
            [
                Device(id="cuda:0", name="A GPU", memory_bytes=24 * GIB),
                Device(id="cuda:1", name="A GPU", memory_bytes=24 * GIB),
            ]
        )
    found = planned_device(studio)
    assert (found.kind, found.name, found.memory_bytes, found.slots) == ("cuda", "A GPU", 24 * GIB, 2)


def test_the_speed_is_that_of_the_last_runs_on_this_base(studio):
    with studio.database.write() as session:
        session.add(BaseModel(id="m", name="M", source="local", location="m"))
        session.add(
            Dataset(
                id="d", name="D", source="upload", file_name="d.json", format="alpaca", rows=3, size_bytes=1, sha256="0"
            )
        )
        session.flush()
        for id, state in (("a", Status.SUCCEEDED), ("b", Status.SUCCEEDED), ("c", Status.FAILED)):
            session.add(Run(id=id, name=id, base_model="m", dataset="d", method="lora", state=state))
    for id, speed in (("a", 100.0), ("b", 300.0), ("c", 9.0)):
        write_json(studio.data.run(id).attempt(1).create().result, {"tokens_per_second": speed})
    assert measured_speed(studio, "m") == 200.0
    assert measured_speed(studio, "another") is None
    slow = plan(method={"dora": True})
    write_json(studio.data.run("b").plan, slow.model_dump(mode="json"))  # plain LoRA would have been faster than it was
    assert measured_speed(studio, "m") == pytest.approx((100 + 300 * slowness(slow)) / 2)


def test_a_base_in_4_bits_and_dora_take_longer():
    usual = estimated(speed=100.0).seconds
    assert estimated(speed=100.0, quantization="nf4").seconds > usual
    assert estimated(speed=100.0, method={"dora": True}).seconds > usual


def test_short_rows_are_not_planned_as_if_each_were_the_longest():
    mixed = estimated(data=stats([20] * 290 + [500] * 10), batch_size=16)
    assert mixed.resolved.token_budget == 4096
    assert mixed.memory["activations"] < estimated(data=stats([500] * 300), batch_size=16).memory["activations"] / 2


def test_an_output_layer_that_is_trained_needs_all_its_logits_at_once():
    embedding = OtherModule(name="model.embed_tokens", shapes={"weight": [32_000, 256]})
    facts = llama(vocabulary=32_000).model_copy(update={"other_modules": [embedding]})
    usual, tied, tokens = (
        estimated(facts, method=method, micro_batch=16).memory["loss"]
        for method in ({}, {"modules_to_save": ["embed_tokens"]}, {"new_tokens": ["<think>"]})
    )
    assert tied == tokens > usual + 16 * 60 // 2 * 32_000 * 4  # half of the tokens are learned from
