"""The floor as a side: only the matrix products that LoRA cannot do without, at the model's shapes, and nothing else.

Forward, and gradients of the activations, of every linear layer for all tokens of a batch; of the output head where
something is learned, in the blocks in which ours computes it (all rows of a few tokens at once took longer). What it
reaches is the machine's own rate for this model, measured in turn with the others.
"""

import sys
from functools import cache

import torch

from benchmarks.training.job import Job
from benchmarks.training.turns import Turns
from jobs.workers.loss import MOST_ROWS, blocks


@cache
def activations(tokens: int, width: int) -> torch.Tensor:
    return torch.randn(tokens, width)


def multiply(weight: torch.Tensor, tokens: int) -> int:
    """Forward and backward through one layer, weight [out, in]. Returns the floating point operations."""
    outputs, inputs = weight.shape
    activations(tokens, inputs) @ weight.T
    activations(tokens, outputs) @ weight
    return 4 * tokens * inputs * outputs


def per_batch(job: Job) -> tuple[int, int]:
    """(tokens, supervised tokens) of a batch, on average."""
    rows, batches = job.rows, len(job.rows) / job.batch_size
    supervised = sum(label != -100 for row in rows for label in row["labels"])
    return round(sum(len(row["input_ids"]) for row in rows) / batches), round(supervised / batches)


if __name__ == "__main__":
    turns, job = Turns(), Job.read(sys.argv[1])
    tokens, supervised = per_batch(job)
    layers = [torch.randn(outputs, inputs) for inputs, outputs in job.layer_shapes]
    head = torch.randn(job.vocabulary, job.hidden_size)
    parts = [head[columns] for columns in blocks(job.vocabulary, min(supervised, MOST_ROWS), head.device)]
    while True:
        turns.wait()
        flops = sum(multiply(weight, tokens) for weight in layers) + sum(multiply(part, supervised) for part in parts)
        turns.done(flops=flops)
