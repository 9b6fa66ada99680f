"""What the held-out rows say of an adapter: numbers with intervals, one word, and the step to keep. Pure functions over the rows' measures."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy

from studio.ratings import wilson
from studio.verdict.intervals import SAMPLES, SEED, SHARE, paired_interval

FEWEST_ROWS = 10  # units below which nothing is said about better or worse
RISE = 0.01  # share by which the loss must have risen above its lowest, to be worth a word
AT_REST = 1e-5  # a change per token (or a margin) smaller than that is rounding: such a row counts as half improved
MOST_EXPONENT = 50.0  # perplexities beyond exp(50) are shown as that
Word = Literal["better", "no change", "worse", "overfitted", "too few rows", "not measured", "failed"]
UNITS = {"answers": "row", "text": "document", "preference": "pair"}


@dataclass(frozen=True)
class Rows:
    """Measures of the held-out rows, one number for each (float64 [rows])."""

    objective: Literal["answers", "text", "preference"]
    base: numpy.ndarray
    """Loss of the base, summed over the row's learned tokens; of a pair the margin, which is 0."""
    adapter: numpy.ndarray
    """The same of the adapter that is kept."""
    tokens: numpy.ndarray
    """Learned tokens of each row: what it weighs. Of pairs ones."""
    units: numpy.ndarray
    """Number of the row in the data: pieces of one document are drawn together."""
    best: numpy.ndarray | None = None
    """Loss at the step where it was lowest, and after the last step: for whether the training went on too long."""
    last: numpy.ndarray | None = None


@dataclass(frozen=True)
class Steps:
    kept: int
    """The step whose adapter is kept."""
    last: int
    best: int | None = None
    """Where the held-out loss was lowest."""


@dataclass
class Judgement:
    """The verdict in numbers and in one word; `words.sentences` says it."""

    word: Word
    objective: str
    unit: str
    step: int
    last_step: int
    best_step: int | None
    rows: int = 0
    """Units that were drawn: rows, documents or pairs."""
    tokens: int = 0
    loss: dict[str, float] = field(default_factory=dict)
    """base, adapter, change, low, high: per token; change is adapter - base."""
    perplexity: dict[str, float] = field(default_factory=dict)
    margin: dict[str, float] = field(default_factory=dict)
    """mean, low, high: of pairs."""
    improved: dict[str, float] = field(default_factory=dict)
    """count, share, low, high (Wilson): rows whose loss fell, or pairs that moved towards the chosen answer."""
    not_numbers: int = 0
    """Rows on which the adapter's loss is not a number."""
    overfitted_after: int | None = None
    rise: dict[str, float] = field(default_factory=dict)
    """From the lowest held-out loss to the last: change, low, high, per token."""
    keep_step: int | None = None
    """The step whose adapter is the one to keep."""
    interval: dict[str, Any] = field(
        default_factory=lambda: {"kind": "paired bootstrap", "samples": SAMPLES, "seed": SEED, "share": SHARE}
    )


def judged(rows: Rows, steps: Steps) -> Judgement:
    """The same rows always give the same judgement."""
    unit = unit_of(rows)
    found = Judgement("not measured", rows.objective, unit, steps.kept, steps.last, steps.best, keep_step=steps.kept)
    told = numpy.isfinite(rows.base)
    found.not_numbers = int((told & ~numpy.isfinite(rows.adapter)).sum())
    told &= numpy.isfinite(rows.adapter)
    if not told.any():
        if found.not_numbers:
            found.word = "worse"
        return found
    units = rows.units if unit != "piece" else numpy.arange(len(rows.units))
    base, adapter, tokens, units = rows.base[told], rows.adapter[told], rows.tokens[told], units[told]
    change = adapter - base
    low, high = paired_interval(change, tokens, units)
    found.rows, found.tokens = len(numpy.unique(units)), int(tokens.sum())
    mean = float(change.sum() / tokens.sum())
    if rows.objective == "preference":
        found.margin = rounded(mean=mean, low=low, high=high)
        mean, low, high = -mean, -high, -low  # as with a loss: lower is better
    else:
        before, after = float(base.sum() / tokens.sum()), float(adapter.sum() / tokens.sum())
        found.loss = rounded(base=before, adapter=after, change=mean, low=low, high=high)
        found.perplexity = rounded(base=perplexity(before), adapter=perplexity(after))
    better = change if rows.objective == "preference" else -change
    found.improved = improved(better, tokens, units)
    found.word = "worse" if found.not_numbers else word_of(found.rows, low, high)
    note_overfitting(found, rows, steps, units if len(units) == len(rows.units) else None)
    return found


def unit_of(rows: Rows) -> str:
    """What is drawn again: of a few long documents their pieces, because documents would be too few to draw from."""
    if rows.objective == "text" and len(numpy.unique(rows.units)) < FEWEST_ROWS < len(rows.units):
        return "piece"
    return UNITS[rows.objective]


def word_of(count: int, low: float, high: float) -> Word:
    """`low` and `high` bound the change of the loss: better and worse are said when all of it is on one side of 0."""
    if count < FEWEST_ROWS:
        return "too few rows"
    return "better" if high < 0 else "worse" if low > 0 else "no change"


def improved(better: numpy.ndarray, tokens: numpy.ndarray, units: numpy.ndarray) -> dict[str, float]:
    """How many units the adapter does better on; one that has not moved counts as half."""
    _, place = numpy.unique(units, return_inverse=True)
    each = numpy.bincount(place, better) / numpy.bincount(place, tokens)
    count = float((each > AT_REST).sum() + 0.5 * (numpy.abs(each) <= AT_REST).sum())
    low, high = wilson(count, len(each))
    return {"count": count, **rounded(share=count / len(each), low=low, high=high)}


def note_overfitting(found: Judgement, rows: Rows, steps: Steps, units: numpy.ndarray | None) -> None:
    """Whether the loss rose again after its lowest point by more than chance would have it, and by more than a trifle."""
    if rows.best is None or rows.last is None or units is None or not steps.best or steps.best >= steps.last:
        return
    if found.rows < FEWEST_ROWS or not (numpy.isfinite(rows.best) & numpy.isfinite(rows.last)).all():
        return
    weights = rows.tokens
    low, high = paired_interval(rows.last - rows.best, weights, units)
    change, lowest = float((rows.last - rows.best).sum() / weights.sum()), float(rows.best.sum() / weights.sum())
    if low <= 0 or change < RISE * abs(lowest):
        return
    found.overfitted_after, found.keep_step = steps.best, steps.best
    found.rise = rounded(change=change, low=low, high=high)
    if steps.kept == steps.last:
        found.word = "overfitted"


def perplexity(loss: float) -> float:
    return math.exp(min(loss, MOST_EXPONENT))


def rounded(**values: float) -> dict[str, float | None]:
    """Six digits; JSON knows no infinity."""
    return {name: float(f"{value:.6g}") if math.isfinite(value) else None for name, value in values.items()}
