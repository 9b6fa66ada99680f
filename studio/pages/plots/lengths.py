"""How long the rows of a data set are in tokens: all of a row with the chosen cut, what is only read of it, and what is learned."""

from bisect import bisect_left
from collections.abc import Sequence

from studio.dataset_report import TokenStats
from studio.pages import parts, words
from studio.pages.plots.bars import Bar, upright

ROWS_AS = {
    "answers": ("row", "a row"),
    "text": ("document", "a document"),
    "preference": ("sequence", "with either answer"),
}
"""What a length is of, and how the axis says it."""


def lengths(stats: TokenStats, context_length: int | None, cut: int | None = None) -> str:
    """The rows by their length, those beyond `cut` in another colour, and what does not fit the model. Of pairs both sequences
    are counted."""
    row, ways = ROWS_AS[stats.objective]
    uppers, counts = zip(*stats.histogram, strict=True)
    kept = min(filter(None, (context_length, cut)), default=None) if stats.objective != "text" else None
    said = f"{row.capitalize()}s by length: from {stats.shortest} to {stats.longest} tokens, half of them up to {stats.median}"
    figures = (
        parts.stat("Shortest", words.count(stats.shortest)),
        parts.stat("Half are up to", words.count(stats.median)),
        parts.stat("95 % are up to", words.count(stats.p95)),
        parts.stat("Longest", words.count(stats.longest)),
    )
    share = words.share(stats.trained_tokens / max(1, stats.total_tokens))
    total = f"{words.short_count(stats.total_tokens)} tokens in all, {share} of them trained on."
    if stats.sampled:
        total += " Measured on a sample of the rows."
    return (
        f'{_spread(uppers, counts, said, f"tokens {ways}", row, kept)}<div class="ls-stats ls-gap">{"".join(figures)}</div>'
        f'<p class="ls-sub ls-gap">{total}</p>{_read_and_learned(stats, uppers)}{_too_long(stats, context_length)}'
    )


def _spread(
    uppers: Sequence[int], counts: Sequence[int], said: str, what: str, row: str, cut: int | None = None
) -> str:
    """Bars from the first length that is there; each holds what is above the bound before it, up to its own."""
    first = next((place for place, count in enumerate(counts) if count), 0)
    left, right = (uppers[first - 1] if first else 0), uppers[-1]
    lowers = [uppers[place - 1] if place else 0 for place in range(first, len(uppers))]
    bars = [
        Bar(f"{lower + 1:,} to {upper:,} tokens", count, over=cut is not None and lower >= cut)
        for lower, upper, count in zip(lowers, uppers[first:], counts[first:], strict=True)
    ]
    line = ((cut - left) / (right - left), f"cut at {cut:,}") if cut is not None and left < cut < right else None
    if line is not None:
        said += f"; the cut is at {cut:,}"
    return upright(bars, said, (words.count(left), what, words.count(right)), row, line)


def _read_and_learned(stats: TokenStats, uppers: Sequence[int]) -> str:
    """The two parts of a row, in the steps of the whole: nothing for a text, of which all is learned, and for older counts."""
    if stats.objective == "text" or len(stats.trained) != len(stats.lengths):
        return ""
    row = ROWS_AS[stats.objective][0]
    read = [length - trained for length, trained in zip(stats.lengths, stats.trained, strict=True)]
    plots = "".join(
        f'<div><h3 class="ls-side">{title}</h3>{_part(uppers, values, title, row)}</div>'
        for title, values in (("Prompt: what is only read", read), ("Answer: what is learned", stats.trained))
    )
    return f'<div class="ls-grid ls-g2">{plots}</div>'


def _part(uppers: Sequence[int], values: Sequence[int], title: str, row: str) -> str:
    counts = [0] * len(uppers)
    for value in values:
        counts[min(bisect_left(uppers, value), len(uppers) - 1)] += 1
    middle = sorted(values)[len(values) // 2]
    said = f"{title}, from {min(values):,} to {max(values):,} tokens, half of them up to {middle:,}"
    return _spread(uppers, counts, said, f"tokens, half up to {middle:,}", row)


def _too_long(stats: TokenStats, context_length: int | None) -> str:
    if not context_length or stats.longest <= context_length:
        return ""
    if stats.objective == "text":
        return '<p class="ls-sub">Longer documents are cut into pieces when training; no token is lost.</p>'
    share = sum(length > context_length for length in stats.lengths) / len(stats.lengths)
    rows = words.plural(max(1, round(share * stats.rows * stats.sequences_per_row)), ROWS_AS[stats.objective][0])
    return parts.banner(
        "warn",
        f"{rows} longer than the {words.count(context_length)} tokens that this model can read.",
        "What is beyond is cut off when training; shorten it or choose another base.",
    )
