"""The memory plan against the measured peak of real trainings on this machine; benchmarks/memory.py measures more of them."""

import pytest

from studio.files import read_json
from studio.footprint import Footprint
from studio.plan import read_plan
from tests.workers.tiny_models import save_model_folder
from tests.workers.training_place import conversation, steps_of, training_place

pytestmark = pytest.mark.training
SIZE = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "context": 1024}


@pytest.mark.parametrize(
    ("recompute", "method"),
    [(False, {}), (True, {}), (False, {"bias": "lora_only"})],
    ids=["activations kept", "activations recomputed", "computed by PEFT's own layers"],
)
def test_the_planned_memory_is_near_the_measured_peak(tmp_path, recompute, method):
    place = training_place(tmp_path, save_model_folder(tmp_path / "base", **SIZE))
    questions = [f"{row} ships: count {row}!" for row in range(1, 9)]  # what rows begin with alike is computed once
    place.write_rows(
        "small", [conversation(row, asked, "one two three ships " * 25) for row, asked in enumerate(questions, 1)]
    )
    numbers = {"gradient_checkpointing": recompute, "heldout_rows": 0, "sequence_length": 256, "token_budget": 2048}
    method = {"rank": 16, "dropout": 0.0, **method}
    attempt = place.queue("r1", resolved=numbers, method=method, training={"batch_size": 8, "max_steps": 3})
    result = place.train(attempt)
    assert result["status"] == "succeeded", attempt.log.read_text()
    tokens = max(line["computed_tokens"] for line in steps_of(attempt))
    assert tokens > 800

    plan = read_plan(read_json(attempt.run.plan))
    planned = Footprint.of(plan, place.facts, "fp32", "cpu").total(tokens, recompute)
    assert planned == pytest.approx(result["peak_memory_bytes"], rel=0.2)
