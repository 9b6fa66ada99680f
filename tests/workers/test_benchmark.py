"""The training benchmark: our worker and transformers' Trainer take turns in processes of their own, on the same batches."""

import dataclasses

import pytest

from benchmarks.training import measure as measuring
from benchmarks.training.measure import Found, compare_losses, measure
from benchmarks.training.sides import KINDS
from benchmarks.training.table import markdown
from benchmarks.training.workloads import WORKLOADS

pytestmark = pytest.mark.training


def test_ours_and_the_trainer_train_the_same_and_a_table_is_made_of_it(tmp_path):
    workload = dataclasses.replace(WORKLOADS["answer-heavy"], vocabulary=300, sides=("ours", "Trainer"))
    shape = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 1024,
    }  # fmt: skip
    job, sides = measure(workload, 2, 1, tmp_path, say=lambda *_, **__: None, shape=shape)
    ours, trainer = sides
    assert ours.rounds[0]["tokens"] == trainer.rounds[0]["tokens"] <= trainer.rounds[0]["slots"]
    assert ours.rounds[0]["supervised"] == trainer.rounds[0]["supervised"]
    table = markdown(workload, job, sides)
    assert "| ours |" in table
    assert "Best peer: Trainer" in table


def test_sides_whose_losses_differ_are_not_compared():
    first, second = (Found(kind, rounds=[{"loss": loss}]) for kind, loss in zip(KINDS, (2.0, 2.001), strict=False))
    with pytest.raises(SystemExit, match="differ by more than"):
        compare_losses([first, second], 0)
    assert measuring.SAME["answers"] < 1e-4
