"""LLaMA-Factory as a side, in a Python of its own: it pins older versions of what the studio uses."""

import importlib.machinery
import importlib.util
import sys
import types

from benchmarks.training.job import Job
from benchmarks.training.peers import trainer_arguments
from benchmarks.training.trainer_turns import TrainerTurns
from benchmarks.training.turns import Turns


def without_sound() -> None:
    """It imports torchaudio even to train on text, and there is no build of it for every torch: an empty one will do."""
    if importlib.util.find_spec("torchaudio") is None:
        silent = types.ModuleType("torchaudio")
        silent.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = silent


if __name__ == "__main__":
    turns, job = Turns(), Job.read(sys.argv[1])
    without_sound()
    from llamafactory.train.tuner import run_exp  # after Turns(): it prints while it is imported

    settings = {
        **trainer_arguments(job), "output_dir": f"{job.scratch}/llamafactory", "stage": "sft", "do_train": True,
        "finetuning_type": "lora", "lora_rank": job.rank, "lora_dropout": job.dropout, "lora_target": "all",
        "model_name_or_path": job.model, "adapter_name_or_path": job.adapter, "template": "empty",
        "dataset": "rows", "tokenized_path": job.tokenized, "disable_shuffling": True,
        "disable_gradient_checkpointing": True,
    }  # fmt: skip
    settings.pop("gradient_checkpointing")
    run_exp(settings, callbacks=[TrainerTurns(turns)])
