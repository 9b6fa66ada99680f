"""Counts drawn as bars in the colours of the theme; the same numbers stand there as text for whoever does not see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from studio.pages import words


@dataclass(frozen=True)
class Bar:
    label: str
    count: int
    over: bool = False
    """Drawn in another colour: beyond a limit."""


def upright(
    bars: Sequence[Bar], said: str, axis: tuple[str, str, str], unit: str, cut: tuple[float, str] | None = None
) -> str:
    """Bars side by side over an axis (left end, what it counts, right end). `said` is read out instead of the picture, and a hidden
    table of all bars stands behind it. `cut`: where a limit is drawn, as a share of the axis, and its words."""
    most = max((bar.count for bar in bars), default=0) or 1
    drawn = "".join(
        f'<i{" class=over" if bar.over else ""} style="height:{_part(bar.count, most):.1f}%" '
        f'title="{escape(bar.label)}: {words.plural(bar.count, unit)}"></i>'
        for bar in bars
    )
    if cut is not None:
        side = " left" if cut[0] > 0.6 else ""
        drawn += f'<b class="cut{side}" style="left:{cut[0]:.2%}"><span>{escape(cut[1])}</span></b>'
    rows = "".join(
        f"<tr><td>{escape(bar.label)}</td><td>{words.count(bar.count)}</td></tr>" for bar in bars if bar.count
    )
    ends = "".join(f"<span>{escape(part)}</span>" for part in axis)
    return (
        f'<div class="ls-bars" role="img" aria-label="{escape(said)}">{drawn}</div><div class="ls-axis" aria-hidden="true">{ends}</div>'
        f'<div class="ls-hidden"><table><caption>{escape(said)}</caption><tbody>{rows}</tbody></table></div>'
    )


def lying(title: str, bars: Sequence[Bar], below: str = "") -> str:
    """A heading, and bars one below the other, each with its words and its count; `below` says what they leave open."""
    whole = sum(bar.count for bar in bars) or 1
    items = "".join(
        f"<li><span>{escape(bar.label)}</span><b>{words.count(bar.count)}</b>"
        f'<i aria-hidden="true"><i{" class=over" if bar.over else ""} style="width:{_part(bar.count, whole):.1f}%"></i></i></li>'
        for bar in bars
    )
    after = f'<p class="ls-sub">{escape(below)}</p>' if below else ""
    return f'<div><h3 class="ls-side">{escape(title)}</h3><ul class="ls-lying">{items}</ul>{after}</div>'


def _part(count: int, most: int) -> float:
    """Per cent; what is there at all can be seen."""
    return max(100 * count / most, 2 if count else 0)
