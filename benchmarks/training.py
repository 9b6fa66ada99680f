"""Our training step against transformers' Trainer with PEFT, on identical optimiser batches in one process: `python -m benchmarks.training`.

Both train the same LoRA on the same random weights, batch by batch in turn (A B A B), one thread. Measured is the CPU
time of one optimiser step each: the Trainer's own training_step, clipping and AdamW, against our engine and optimiser;
collating and packing are inside. Losses must agree, or the numbers mean nothing and the program ends with an error.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several threads on a busy machine measure the machine
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import statistics
import tempfile
import time
import warnings

import numpy as np
import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from jobs.workers.engine import Engine
from jobs.workers.optimizer import Optimizer
from jobs.workers.packing import Example
from studio.plan import read_plan
from studio.resolved_plan import ResolvedPlan

SIZES = {
    "builtin": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4},
    "middle": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "num_attention_heads": 8},
}
WORKLOADS = {  # name -> (vocabulary, share of the tokens that are learned from)
    "answer-heavy": (32_000, 0.86),
    "prompt-heavy": (32_000, 0.10),
    "vocabulary 152k": (152_000, 0.86),
}
RATE, RANK = 1e-3, 16


def model_of(size: str, vocabulary: int):
    """The same random model with the same untrained adapter, whoever asks."""
    torch.manual_seed(0)
    config = LlamaConfig(
        **SIZES[size], num_key_value_heads=4, vocab_size=vocabulary, tie_word_embeddings=True, use_cache=False
    )
    base = LlamaForCausalLM(config).requires_grad_(False)
    return get_peft_model(
        base, LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear")
    )


def rows_of(count: int, vocabulary: int, share: float, random: np.random.Generator) -> list[Example]:
    """Rows as instruction data has them: most of them short, some long, the answer at the end."""
    rows = []
    for number in range(count):
        length = int(np.clip(random.lognormal(4.4, 0.8), 12, 600))
        trained = np.arange(length) >= round(length * (1 - share))
        rows.append(Example(number, random.integers(0, vocabulary, length, dtype=np.int32), trained))
    return rows


class Ours:
    def __init__(self, size: str, vocabulary: int, batch: int):
        self.model = model_of(size, vocabulary)
        self.engine = Engine(self.model, torch.device("cpu"), most_rows=batch, most_tokens=4096)
        self.said = self.engine.choose()
        plan = read_plan({"base_model": "m", "dataset": "d"})
        resolved = ResolvedPlan(
            device="cpu", precision="fp32", targets=[], sequence_length=600, epochs=1, train_rows=1, heldout_rows=0,
            steps=1, warmup_steps=0, learning_rate=RATE, batch_size=batch, micro_batch=batch, accumulation=1,
            token_budget=4096, gradient_checkpointing=False, evaluate_every=1, checkpoint_every=1,
        )  # fmt: skip
        parameters = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        self.optimizer = Optimizer(parameters, resolved, plan.training, Accelerator(cpu=True))
        self.steps = 0

    def step(self, rows: list[Example]) -> float:
        supervised = sum(row.trained_tokens for row in rows)
        loss = self.engine.accumulate(self.engine.micro_batches(rows), self.optimizer.weight(supervised)) / supervised
        self.steps += 1
        self.optimizer.step(self.steps, RATE, loss)
        return loss


class Theirs:
    def __init__(self, size: str, vocabulary: int, batch: int, scratch: str):
        arguments = TrainingArguments(
            output_dir=scratch, use_cpu=True, per_device_train_batch_size=batch, report_to=[], learning_rate=RATE
        )
        self.trainer = Trainer(model_of(size, vocabulary), arguments)
        self.trainer.model.train()
        parameters = [each for each in self.trainer.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0, fused=True)
        self.parameters = parameters

    def step(self, rows: list[Example]) -> float:
        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
        for index, row in enumerate(rows):
            tokens = torch.from_numpy(row.ids.astype(np.int64))
            ids[index, : len(row)], mask[index, : len(row)] = tokens, 1
            labels[index, : len(row)] = tokens.masked_fill(~torch.from_numpy(row.trained), -100)
        supervised = torch.tensor(sum(row.trained_tokens for row in rows))
        inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        loss = self.trainer.training_step(self.trainer.model, inputs, num_items_in_batch=supervised)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss)


def measure(workload: str, size: str, batch: int, rounds: int) -> dict:
    """Median tokens per CPU-second of both over the rounds, after one step that is not counted."""
    vocabulary, share = WORKLOADS[workload]
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        sides = {"ours": Ours(size, vocabulary, batch), "theirs": Theirs(size, vocabulary, batch, scratch)}
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        apart = 0.0
        for turn in range(rounds + 1):
            rows, losses = rows_of(batch, vocabulary, share, random), {}
            for name in sorted(sides, reverse=bool(turn % 2)):
                began = time.process_time()
                losses[name] = sides[name].step(rows)
                spent = time.process_time() - began
                if turn:
                    speeds[name].append(sum(map(len, rows)) / spent)
            apart = max(apart, abs(losses["ours"] - losses["theirs"]) / losses["theirs"])
            if apart > 1e-5:
                raise SystemExit(f"{workload}: the losses {losses['ours']:.7f} and {losses['theirs']:.7f} differ.")
        found = {name: statistics.median(values) for name, values in speeds.items()}
        ratios = [ours / theirs for ours, theirs in zip(speeds["ours"], speeds["theirs"], strict=True)]
        return {**found, "ratio": statistics.median(ratios), "apart": apart, "said": sides["ours"].said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="builtin")
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="Default: all.")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.set_num_threads(1)
    print(
        f"{options.size} size, batches of {options.batch} rows, median of {options.rounds} rounds, tokens per CPU-second:"
    )
    print(f"{'workload':18}{'ours':>9}{'Trainer':>9}{'ratio':>8}{'losses apart':>14}")
    for workload in options.workload or WORKLOADS:
        found = measure(workload, options.size, options.batch, options.rounds)
        figures = f"{found['ours']:9,.0f}{found['theirs']:9,.0f}{found['ratio']:8.2f}{found['apart']:14.1e}"
        print(f"{workload:18}{figures}", flush=True)


if __name__ == "__main__":
    main()
