"""Sums and shorter ranks of LoRA updates, computed from their two matrices: the full update is never made.

An update is up @ down, with up (outputs, rank) and down (rank, inputs); the scale is in up. Everything in 64 bits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy

Factors = tuple[numpy.ndarray, numpy.ndarray]  # (up, down)
Combine = Callable[[str, list[tuple[float, Factors]], Factors], tuple[Factors, float]]
"""(name, weighted parts, their exact sum) → the result, and its squared distance to the sum."""


def weighted_sum(parts: Iterable[tuple[float, Factors]]) -> Factors:
    """The update sum(weight * up @ down) with its rank the sum of ranks: the matrices side by side. Nothing is lost."""
    parts = list(parts)
    up = numpy.concatenate([weight * up for weight, (up, _) in parts], axis=1)
    down = numpy.concatenate([down for _, (_, down) in parts], axis=0)
    return up, down


@dataclass(frozen=True)
class Spectrum:
    """The singular value decomposition of an update: left @ diag(values) @ right."""

    left: numpy.ndarray  # (outputs, n), orthonormal columns
    values: numpy.ndarray  # n, falling
    right: numpy.ndarray  # (n, inputs), orthonormal rows

    @property
    def energy(self) -> float:
        """The squared Frobenius norm of the update."""
        return float(numpy.sum(self.values**2))

    def cut(self, rank: int) -> Factors:
        """The nearest update of this rank (Eckart & Young 1936), each factor with the root of the singular values."""
        root = numpy.sqrt(self.values[:rank])
        return self.left[:, :rank] * root, root[:, None] * self.right[:rank]

    def lost(self, rank: int) -> float:
        """Squared norm of what `cut(rank)` leaves out."""
        return float(numpy.sum(self.values[rank:] ** 2))


def spectrum(factors: Factors) -> Spectrum:
    """By thin QR of both factors: the decomposition of an n x n matrix, with n at most the rank, is all that remains."""
    up, down = factors
    left, upper = numpy.linalg.qr(up)
    right, lower = numpy.linalg.qr(down.T)
    inner_left, values, inner_right = numpy.linalg.svd(upper @ lower.T, full_matrices=False)
    return Spectrum(left @ inner_left, values, inner_right @ right.T)


def singular_values(factors: Factors) -> numpy.ndarray:
    up, down = factors
    upper, lower = numpy.linalg.qr(up, mode="r"), numpy.linalg.qr(down.T, mode="r")
    return numpy.linalg.svd(upper @ lower.T, compute_uv=False)


def squared_norm(factors: Factors) -> float:
    """|up @ down|^2 = tr(upT up downdownT)."""
    up, down = factors
    return max(0.0, float(numpy.sum((up.T @ up) * (down @ down.T))))


def squared_distance(one: Factors, other: Factors) -> float:
    """|one - other|^2. By singular values, because the trace of the difference would lose half of the digits."""
    return float(numpy.sum(singular_values(weighted_sum([(1.0, one), (-1.0, other)])) ** 2))
