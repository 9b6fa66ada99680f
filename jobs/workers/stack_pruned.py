"""Stacks that prune before they add: TIES (Yadav et al. 2023, arXiv:2306.01708) and DARE (Yu et al. 2023, arXiv:2311.03099), by PEFT's functions.

Both look at the numbers of the full updates, so one module at a time is made whole; its nearest update of the wanted
rank is what the adapter can hold.
"""

import warnings
import zlib

import numpy
import torch
from peft.utils.merge_utils import dare_linear, ties

from jobs.workers.lora_math import Combine, Factors

WHOLE_SIDE = (
    1024  # up to here the decomposition is exact; beyond, randomised (Halko et al. 2011), with its error measured too
)
OVERSAMPLED, ITERATIONS = 16, 4


def pruned(kind: str, rank: int, density: float, seed: int) -> Combine:
    """density: the share of numbers that is kept; seed: what DARE draws, for each module by its name."""

    def combine(name: str, parts: list[tuple[float, Factors]], whole: Factors) -> tuple[Factors, float]:
        # TIES elects the sign that most updates have: an update that is taken away votes with the other sign
        updates = [torch.from_numpy(up @ down * numpy.sign(weight)).float() for weight, (up, down) in parts]
        weights = torch.tensor([abs(weight) for weight, _ in parts])
        torch.manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The density .* no pruning", UserWarning)  # a density of 1 asks for none
            mixed = (ties if kind == "ties" else dare_linear)(updates, weights, density)
        made = cut(mixed, rank)
        return made, float(numpy.sum((made[0] @ made[1] - whole[0] @ whole[1]) ** 2))

    return combine


def cut(update: torch.Tensor, rank: int) -> Factors:
    """The nearest update of this rank, as factors."""
    sides = min(update.shape)
    rank = min(rank, sides)
    if sides <= WHOLE_SIDE:
        left, values, right = torch.linalg.svd(update.double(), full_matrices=False)
    else:
        left, values, right = torch.svd_lowrank(update, min(rank + OVERSAMPLED, sides), niter=ITERATIONS)
        right = right.T
    root = values[:rank].sqrt()
    return (left[:, :rank] * root).double().numpy(), (root[:, None] * right[:rank]).double().numpy()
