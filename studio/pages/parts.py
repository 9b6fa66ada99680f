"""The parts that pages are drawn with: pure functions from values to HTML.

Arguments named `html` or ending in `_html` are finished HTML; every other text is escaped here. Give these functions the
text as it is, and give their results to gr.HTML as `value`, never as part of a template.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape

from studio.errors import StudioError
from studio.records import Status

ICONS = {
    "home": '<path d="M3 10.5 12 3l9 7.5"/><path d="M5 9v11h5v-6h4v6h5V9"/>',
    "model": '<path d="m12 2.8 8 4.6v9.2l-8 4.6-8-4.6V7.4z"/><path d="m4 7.4 8 4.6 8-4.6M12 12v9.2"/>',
    "data": '<ellipse cx="12" cy="5.5" rx="7.5" ry="2.8"/><path d="M4.5 5.5v13c0 1.5 3.4 2.8 7.5 2.8s7.5-1.3 7.5-2.8v-13"/><path d="M4.5 12c0 1.5 3.4 2.8 7.5 2.8s7.5-1.3 7.5-2.8"/>',
    "train": '<path d="M13 2.5 4.5 14H11l-1 7.5L19.5 10H13z"/>',
    "runs": '<path d="M3.5 3.5v17h17"/><path d="m7 15.5 4-5 3.5 3L20 6.5"/>',
    "compare": '<rect x="3" y="4" width="7.5" height="16" rx="1.5"/><rect x="13.5" y="4" width="7.5" height="16" rx="1.5"/>',
    "adapter": '<path d="m12 3 9 4.8-9 4.8-9-4.8z"/><path d="m3 12.3 9 4.8 9-4.8"/><path d="m3 16.5 9 4.8 9-4.8"/>',
    "theme": '<path d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z"/>',
    "check": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "download": '<path d="M12 4v11m-4.5-4.5L12 15l4.5-4.5M4.5 19.5h15"/>',
    "bell": '<path d="M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 2h-15zM10 21h4"/>',
    "settings": '<path d="M4 7h9m5 0h2M4 17h2m5 0h9"/><circle cx="15.5" cy="7" r="2.5"/><circle cx="8.5" cy="17" r="2.5"/>',
    "disk": '<rect x="4" y="4.5" width="16" height="15" rx="2.5"/><path d="M4 14.5h16M8 17h.01M11 17h.01"/>',
    "search": '<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>',
}

NO_RUNNER = "the part of the studio that trains is not running."
START_RUNNER = "Start it with python -m jobs.runner, or start the studio again without --no-runner."

# What a person calls each state, and the chip's colour.
STATUS_WORDS = {
    Status.QUEUED: ("Queued", "idle"),
    Status.STARTING: ("Starting", "running"),
    Status.RUNNING: ("Running", "running"),
    Status.PAUSING: ("Saving", "running"),
    Status.PAUSED: ("Paused", "warn"),
    Status.RETRY_WAIT: ("Trying again", "warn"),
    Status.CANCELLING: ("Stopping", "warn"),
    Status.CANCELLED: ("Stopped", "idle"),
    Status.SUCCEEDED: ("Done", "ok"),
    Status.FAILED: ("Failed", "bad"),
}


def icon(name: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" '
        f'stroke-linejoin="round" aria-hidden="true">{ICONS[name]}</svg>'
    )


def text(words: object) -> str:
    """Somebody's text, escaped and kept apart from the direction of the words around it."""
    return f"<bdi>{escape(str(words))}</bdi>"


def chip(word: str, kind: str = "idle") -> str:
    """kind: ok, bad, warn, running or idle."""
    return f'<span class="ls-chip {kind}">{escape(word)}</span>'


def status_chip(status: Status | str) -> str:
    return chip(*STATUS_WORDS[Status(status)])


def tag(word: str, hint: str = "") -> str:
    title = f' title="{escape(hint)}"' if hint else ""
    return f'<span class="ls-tag"{title}>{escape(word)}</span>'


def button(
    words: str, href: str, primary: bool = False, small: bool = False, download: bool = False, label: str = ""
) -> str:
    """A link that looks like a button. `label` is read out instead of the words, where these say too little."""
    classes = "ls-btn" + " p" * primary + " s" * small
    more = (" download" if download else "") + (f' aria-label="{escape(label)}"' if label else "")
    return f'<a class="{classes}" href="{escape(href)}"{more}>{escape(words)}</a>'


def banner(kind: str, title: str, words: str = "", actions_html: str = "") -> str:
    """kind: info, ok, warn or bad. The title says what is so, the words what to do."""
    role = "alert" if kind == "bad" else "status"
    after = f'<span class="ls-row">{actions_html}</span>' if actions_html else ""
    return (
        f'<div class="ls-banner {kind}" role="{role}"><span><b>{escape(title)}</b> {escape(words)}</span>{after}</div>'
    )


def error_banner(error: StudioError, actions_html: str = "") -> str:
    return banner("bad", error.problem, error.fix, actions_html)


def empty(icon_name: str, title: str, words: str = "", actions_html: str = "") -> str:
    after = f'<div class="a">{actions_html}</div>' if actions_html else ""
    return f'<div class="ls-card ls-empty">{icon(icon_name)}<h2>{escape(title)}</h2><p>{escape(words)}</p>{after}</div>'


def table(
    headings: Sequence[str],
    rows_html: Iterable[Sequence[str]],
    label: str,
    classes: str = "phone",
    cell_classes: Sequence[str] = (),
) -> str:
    """A table of finished cells. `cell_classes` gives each column a class, such as "wrap" or "ls-right"."""
    styles = [f' class="{name}"' if name else "" for name in (*cell_classes, *[""] * len(headings))]
    titles = (escape(words) or '<span class="ls-hidden">Actions</span>' for words in headings)
    head = _cells("th", 'role="columnheader" scope="col"', titles, styles)
    body = "".join(_cells("td", 'role="cell"', row, styles) for row in rows_html)
    # The roles are said because a phone's style draws rows as cards, and browsers take them for no table then
    return (
        f'<div class="ls-tw" tabindex="0" role="region" aria-label="{escape(label)}"><table class="ls-t {classes}" role="table">'
        f'<thead role="rowgroup">{head}</thead><tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _cells(kind: str, attributes: str, cells_html: Iterable[str], styles: Sequence[str]) -> str:
    drawn = (f"<{kind} {attributes}{style}>{cell}</{kind}>" for cell, style in zip(cells_html, styles, strict=False))
    return f'<tr role="row">{"".join(drawn)}</tr>'


def progress(done: float, label: str) -> str:
    """A bar of the share `done` (0 to 1)."""
    percent = round(100 * min(max(done, 0.0), 1.0), 1)
    return (
        f'<div class="ls-prog" role="progressbar" aria-label="{escape(label)}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent:g}"><i style="width:{percent:g}%"></i></div>'
    )


def sparkline(values: Sequence[float], label: str = "Loss") -> str:
    """A small curve; a dash where there is nothing to draw yet."""
    points = [value for value in values if value is not None and math.isfinite(value)]
    if len(points) < 2:
        return '<span class="ls-muted">–</span>'
    low, high = min(points), max(points)
    span = (high - low) or 1.0
    path = " ".join(
        f"{1 + 94 * i / (len(points) - 1):.1f},{2 + 22 * (high - value) / span:.1f}" for i, value in enumerate(points)
    )
    return f'<svg class="ls-spark" viewBox="0 0 96 26" role="img" aria-label="{escape(label)} from {points[0]:.3f} to {points[-1]:.3f}"><path d="M{path}"/></svg>'


def stat(label: str, value: str, note: str = "") -> str:
    after = f"<em>{escape(note)}</em>" if note else ""
    return f'<div class="ls-stat"><span>{escape(label)}</span><b>{escape(value)}</b>{after}</div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and values, the values at the right."""
    return (
        '<dl class="ls-facts">'
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
        + "</dl>"
    )


def card(html: str, title: str = "", words: str = "", classes: str = "") -> str:
    head = (f"<h2>{escape(title)}</h2>" if title else "") + (f'<p class="ls-sub">{escape(words)}</p>' if words else "")
    return f'<section class="ls-card {classes}">{head}{html}</section>'


def grid(cards_html: Iterable[str], columns: int = 3) -> str:
    return f'<div class="ls-grid ls-g{columns}">{"".join(cards_html)}</div>'
