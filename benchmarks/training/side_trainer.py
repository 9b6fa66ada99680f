"""transformers' Trainer with PEFT as a side: each batch padded to its longest row."""

import sys

from transformers import AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

from benchmarks.training.job import Job
from benchmarks.training.peers import model_with_adapter, trainer_arguments
from benchmarks.training.trainer_turns import TrainerTurns
from benchmarks.training.turns import Turns

if __name__ == "__main__":
    turns, job = Turns(), Job.read(sys.argv[1])
    Trainer(
        model_with_adapter(job),
        TrainingArguments(**trainer_arguments(job), train_sampling_strategy="sequential"),
        data_collator=DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(job.model)),
        train_dataset=job.rows,
        callbacks=[TrainerTurns(turns)],
    ).train()
