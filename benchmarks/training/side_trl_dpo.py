"""TRL's DPOTrainer as a side: `<job folder> [reference-before]`. What the base thinks of the pairs comes from each step, or before all.

Its padding-free way is out of service in this version of TRL, which says so and pads.
"""

import sys

from datasets import Dataset
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer

from benchmarks.training.job import Job
from benchmarks.training.peers import model_with_adapter, trainer_arguments
from benchmarks.training.trainer_turns import TrainerTurns
from benchmarks.training.turns import Turns


def as_text(row: dict, tokenizer) -> dict:
    """It encodes the rows itself; each word of them is one token."""
    words = {name: " ".join(tokenizer.convert_ids_to_tokens(ids)) for name, ids in row.items()}
    answers = {name: f" {words[name + '_ids']}" for name in ("chosen", "rejected")}
    return {"prompt": words["prompt_ids"], **answers}


if __name__ == "__main__":
    turns, job = Turns(), Job.read(sys.argv[1])
    tokenizer = PreTrainedTokenizerFast.from_pretrained(
        job.model
    )  # by its file; AutoTokenizer would make one for this kind of model
    settings = {
        **trainer_arguments(job), "beta": job.dpo_beta, "max_length": None,
        "precompute_ref_log_probs": "reference-before" in sys.argv, "train_sampling_strategy": "sequential",
    }  # fmt: skip
    DPOTrainer(
        model_with_adapter(job),
        args=DPOConfig(**settings),
        train_dataset=Dataset.from_list([as_text(row, tokenizer) for row in job.rows]),
        processing_class=tokenizer,
        callbacks=[TrainerTurns(turns)],
    ).train()
