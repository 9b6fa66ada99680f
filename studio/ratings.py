"""Ratings from comparisons of two: how sure a win rate is, strengths over several models, and how far raters agree.

Formulas: Wilson (1927), "Probable inference, the law of succession, and statistical inference"; Bradley and Terry (1952) with
the MM algorithm of Hunter (2004), "MM algorithms for generalized Bradley-Terry models"; Efron (1979) for the bootstrap;
Cohen (1960) and Fleiss (1971) for the kappas.
"""

import math
from collections.abc import Sequence

import numpy

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
PRIOR = 0.5  # votes that every pair that has met is taken to have tied beforehand
POINTS = 400 / math.log(10)  # per unit of log strength: 400 points are ten wins to one
STEPS = 5000
CLOSE, NEAR = 1e-9, 1e-4  # change of a log strength at which the MM algorithm has arrived; for a resample, near it


def wilson(successes: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share. `successes` may hold halves, which count a tie as half a success.

    With ties the interval is on the wide side: a tie varies less than the win and the loss that it stands between.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError("needs trials above 0, and successes from 0 to trials")
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def groups(met: numpy.ndarray) -> list[list[int]]:
    """Models that are joined by comparisons, directly or through others; strengths compare only within such a group.

    met[i, j]: how often i and j were compared. Returns lists of places, the largest first.
    """
    left, found = set(range(len(met))), []
    while left:
        group, edge = set(), {min(left)}
        while edge:
            group |= edge
            edge = {int(other) for one in edge for other in numpy.flatnonzero(met[one])} - group
        found.append(sorted(group))
        left -= group
    return sorted(found, key=len, reverse=True)


def bradley_terry(wins: numpy.ndarray, prior: float = PRIOR, close: float = CLOSE) -> numpy.ndarray:
    """Log strengths, with mean 0: the odds that i beats j are exp(strength i - strength j).

    wins[..., i, j]: how often i beat j, a tie as half a win for each; leading dimensions are separate samples. The models
    must be one group. A model that won or lost everything has no finite strength of its own: `prior` ties per pair that
    has met (in any sample) pull it back. With prior=0 such votes raise ValueError.
    """
    wins = numpy.asarray(wins, float)
    count = wins.shape[-1]
    if count < 2:
        return numpy.zeros(wins.shape[:-1])
    both = wins + wins.swapaxes(-1, -2)
    met = both.reshape(-1, count, count).sum(0) > 0
    if len(groups(met)) > 1:
        raise ValueError("these models are not all joined by comparisons")
    wins, both = wins + met * prior / 2, both + met * prior
    if not prior and not all(strongly_joined(sample) for sample in wins.reshape(-1, count, count)):
        raise ValueError("some models won or lost everything, so that their strength has no bound")
    return _mm(wins.sum(-1), both, close)


def _mm(won: numpy.ndarray, both: numpy.ndarray, close: float) -> numpy.ndarray:
    """Hunter's iteration: strength i = wins of i / sum over j of comparisons(i, j) / (strength i + strength j)."""
    strength = numpy.ones_like(won)
    for _ in range(STEPS):
        expected = (both / (strength[..., :, None] + strength[..., None, :])).sum(-1)
        new = won / expected
        new /= numpy.exp(numpy.log(new).mean(-1, keepdims=True))
        moved = numpy.abs(numpy.log(new) - numpy.log(strength)).max()
        strength = new
        if moved < close:
            break
    return numpy.log(strength)


def strongly_joined(wins: numpy.ndarray) -> bool:
    """Can every model be reached from every other over wins? That is when strengths are finite (Ford 1957)."""
    reached = (numpy.asarray(wins) > 0) | numpy.eye(len(wins), dtype=bool)
    for _ in range(max(1, math.ceil(math.log2(len(wins))))):
        reached = reached @ reached
    return bool(reached.all())


def bootstrap(votes: numpy.ndarray, samples: int = 1000, seed: int = 0, prior: float = PRIOR) -> numpy.ndarray:
    """Log strengths of resampled votes, [samples, models], for percentiles.

    votes[v, i, j]: what one vote says of i and j. A vote on several answers is drawn as a whole, because its pairs are not
    independent of each other.
    """
    draw = numpy.random.default_rng(seed)
    counts = draw.multinomial(len(votes), numpy.full(len(votes), 1 / len(votes)), size=samples)
    return bradley_terry(numpy.tensordot(counts.astype(float), votes, 1), prior, NEAR)


def interval(values: numpy.ndarray, share: float = 0.95) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The percentile interval over the first dimension."""
    low, high = numpy.quantile(values, [(1 - share) / 2, (1 + share) / 2], axis=0)
    return low, high


def cohen_kappa(table: Sequence[Sequence[float]]) -> float | None:
    """Agreement of two raters beyond chance. table[i][j]: things that the first put into category i and the second into j.

    None where chance alone would agree always, so that nothing can be said.
    """
    counts = numpy.asarray(table, float)
    total = counts.sum()
    if total == 0:
        return None
    agreed = counts.trace() / total
    by_chance = float(counts.sum(0) @ counts.sum(1)) / total**2
    return None if by_chance > 1 - 1e-12 else float((agreed - by_chance) / (1 - by_chance))


def fleiss_kappa(table: Sequence[Sequence[int]]) -> float | None:
    """Agreement of several raters beyond chance. table[i][k]: raters who put thing i into category k.

    As published when every thing has as many ratings; where they differ, each thing's agreement counts once and the
    categories' shares are those over all ratings. Things with fewer than two ratings say nothing. None as in cohen_kappa.
    """
    told = [row for row in table if sum(row) >= 2]
    if not told:
        return None
    counts = numpy.asarray(told, float)
    raters = counts.sum(1)
    agreed = ((counts * (counts - 1)).sum(1) / (raters * (raters - 1))).mean()
    by_chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return None if by_chance > 1 - 1e-12 else float((agreed - by_chance) / (1 - by_chance))
