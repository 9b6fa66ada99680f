"""TRL's SFTTrainer as a side, in one of its three ways: `<job folder> padded | padding-free | packing`.

Packing regroups the rows before training: the same tokens in other batches, so its losses are not compared with the rest.
It gets as many packed rows at once as come nearest to the tokens of the others' batches.
"""

import sys

from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from benchmarks.training.job import Job
from benchmarks.training.peers import model_with_adapter, trainer_arguments
from benchmarks.training.trainer_turns import TrainerTurns
from benchmarks.training.turns import Turns

PACKED_LENGTH = 1024  # TRL's default for max_length; no row is longer, so none is cut
EPOCHS = 100  # packed, the rows make fewer batches than the others have: it begins again with them


def ways(job: Job, rows: list[dict]) -> dict[str, dict]:
    tokens = sum(len(row["input_ids"]) for row in rows) / len(rows) * job.batch_size
    return {
        "padded": {"max_length": None},
        "padding-free": {"max_length": None, "padding_free": True},
        "packing": {
            "max_length": PACKED_LENGTH,
            "packing": True,
            "per_device_train_batch_size": max(1, round(tokens / PACKED_LENGTH)),
            "num_train_epochs": EPOCHS,
        },
    }


if __name__ == "__main__":
    turns, job = Turns(), Job.read(sys.argv[1])
    rows = job.rows
    settings = {**trainer_arguments(job), **ways(job, rows)[sys.argv[2]], "train_sampling_strategy": "sequential"}
    SFTTrainer(
        model_with_adapter(job),
        SFTConfig(**settings),
        train_dataset=Dataset.from_list([{name: row[name] for name in ("input_ids", "labels")} for row in rows]),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        callbacks=[TrainerTurns(turns)],
    ).train()
