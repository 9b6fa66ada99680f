"""How sure a mean over held-out rows is: the paired bootstrap.

The unit that is drawn again is the row (of raw text the document), with all of its tokens, because tokens of one row are
not independent of each other. The estimate is a ratio: the sum of the rows' differences over the sum of their tokens, so a
long row weighs more, as it does in the loss itself. Efron and Tibshirani (1993), "An Introduction to the Bootstrap",
chapters 13 (percentiles) and 8 (units that are drawn whole). Percentiles alone are too narrow for few rows; they are
widened as Hesterberg (2015), "What Teachers Should Know About the Bootstrap", section 3.3, does it ("expanded").
"""

import math
from statistics import NormalDist

import numpy

SAMPLES = 2000
SEED = 0
SHARE = 0.95
DRAWN_AT_ONCE = 2_000_000  # numbers held while samples are drawn


def paired_interval(
    differences: numpy.ndarray,
    weights: numpy.ndarray,
    groups: numpy.ndarray | None = None,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """The 95 % interval of sum(differences) / sum(weights) over rows drawn anew.

    `differences`: what the adapter changes in each row, summed over its tokens; `weights`: those tokens (ones, where every
    row counts the same); `groups`: the unit that each row belongs to, where several rows are drawn as one. The same input
    always gives the same interval. A single unit says nothing of others: the interval is then without bounds.
    """
    if groups is not None:
        _, place = numpy.unique(groups, return_inverse=True)
        differences, weights = numpy.bincount(place, differences), numpy.bincount(place, weights)
    count = len(differences)
    if count < 2:
        return -math.inf, math.inf
    draw, found = numpy.random.default_rng(seed), numpy.empty(samples)
    at_once = max(1, DRAWN_AT_ONCE // count)
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        chosen = draw.integers(count, size=(size, count))
        found[start : start + size] = differences[chosen].sum(1) / weights[chosen].sum(1)
    low = expanded_level(count)
    low_value, high_value = numpy.quantile(found, [low, 1 - low])
    return float(low_value), float(high_value)


def expanded_level(count: int, share: float = SHARE) -> float:
    """The percentile, as a share, at which the interval of so many units begins: 0.025 for many, less for few."""
    quantile = t_quantile((1 + share) / 2, count - 1)
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * quantile)


def t_quantile(probability: float, degrees: int) -> float:
    """Student's t, by the expansion of Abramowitz and Stegun (1964) 26.7.5; exact for 1 and 2 degrees."""
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2 * probability - 1) / math.sqrt(2 * probability * (1 - probability))
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, 1))
