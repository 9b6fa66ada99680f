"""Make what the sides are given: `python -m benchmarks.training.prepare <folder> <what is wanted, as JSON>`.

The batches are those that our worker makes of the rows itself: it is run up to where its training would begin.
"""

import json
import sys
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict

from benchmarks.random_studio import RandomStudio, random_pair, random_row, random_words
from benchmarks.training.job import Job
from benchmarks.training.workloads import ALPHA, RANK, RATE, Workload, row_lengths
from jobs.workers import train as worker
from jobs.workers.ending import Request
from jobs.workers.packing import Example
from jobs.workers.pairs import Pair
from jobs.workers.report import Report
from jobs.workers.training import Training
from studio import base_models
from studio.folders import AttemptFolder


def queued(folder: Path, workload: Workload, batch_size: int, batches: int, shape: dict) -> Job:
    """Our run in the queue of a studio of its own, and what the others need to know of it."""
    random = np.random.default_rng(0)
    studio = RandomStudio(folder, shape, workload.vocabulary)
    make = random_pair if workload.objective == "preference" else random_row
    rows = [
        make(length, workload.answer_share, workload.vocabulary, random)
        for length in row_lengths(batches * batch_size, random)
    ]
    instruction = random_words(workload.instruction, workload.vocabulary, random)
    for row in rows:
        row["messages"][0]["content"] = " ".join([*instruction, row["messages"][0]["content"]])
    method = {"name": "lora", "rank": RANK, "alpha": ALPHA, "dropout": workload.dropout}
    training = {
        "batch_size": batch_size, "epochs": 1.0, "learning_rate": RATE, "schedule": "constant", "warmup_ratio": 0.0,
        "precision": "fp32", "validation": 0.0, "evaluate_every": 10**6, "checkpoint_every": 10**6,
        "gradient_checkpointing": False,
    }  # fmt: skip
    attempt = studio.queue("rows", rows, method, training)
    facts = base_models.facts_of(studio.base)
    shapes = [(layer.inputs, layer.outputs) for layer in facts.linear_layers]
    return Job(
        folder=str(folder), model=str(studio.model_folder), attempt=str(attempt.path), batch_size=batch_size, rank=RANK,
        dropout=workload.dropout, learning_rate=RATE, linear_parameters=sum(a * b for a, b in shapes),
        layer_shapes=shapes, hidden_size=facts.hidden_size, vocabulary=facts.vocabulary,
    )  # fmt: skip


class UpToItsFirstStep(Training):
    """Our worker with everything loaded; instead of training it writes down what it would train on."""

    job: Job

    def run(self) -> int:
        batches = [[as_row(example) for example in self.batch(number)] for number in range(1, self.steps_per_epoch + 1)]
        self.job.write_batches(batches)
        self.model.save_pretrained(self.job.adapter)
        return 0


def as_row(example: Example | Pair) -> dict:
    """As the peers' collators take it; a label of -100 is not learned from."""
    if isinstance(example, Pair):
        begins = int(example.chosen.trained.argmax())
        prompt, chosen = np.split(example.chosen.ids, [begins])
        both = {"chosen_ids": chosen.tolist(), "rejected_ids": example.rejected.ids[begins:].tolist()}
        return {"prompt_ids": prompt.tolist(), **both}
    ids = example.ids.tolist()
    labels = [id if trained else -100 for id, trained in zip(ids, example.trained.tolist(), strict=True)]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


def prepare(folder: Path, workload: Workload, batch_size: int, batches: int, shape: dict) -> Job:
    job = queued(folder, workload, batch_size, batches, shape)
    attempt = AttemptFolder(job.attempt)
    UpToItsFirstStep.job = job
    usual, worker.Training = worker.Training, UpToItsFirstStep
    try:
        worker.train(attempt, Report(attempt), Request(attempt))
    finally:
        worker.Training = usual
    attempt.run.reference.unlink(missing_ok=True)  # what the base thinks of pairs is worked out by each side itself
    DatasetDict({"train": Dataset.from_list(job.rows)}).save_to_disk(job.tokenized)
    job.write()
    return job


if __name__ == "__main__":
    wanted = json.loads(sys.argv[2])
    prepare(Path(sys.argv[1]), Workload(**wanted["workload"]), wanted["batch_size"], wanted["batches"], wanted["shape"])
