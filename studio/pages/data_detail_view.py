"""How one data set is drawn: its facts, how long its rows are, and which tokens of a row are trained on."""

from html import escape
from typing import Any

from studio.dataset_report import Report
from studio.pages import data_view, parts, words
from studio.token_view import Token
from studio.tokens import Piece

Shown = dict[str, Any]

FOUND_BY_CHECKS = ("control", "placeholder", "duplicate", "heldout")
"""Kinds of warnings that the section of findings shows, all of them and with their fixes."""
MOST_LETTERS = 12_000
"""Of one row; a longer one is shown up to here, so that the page stays quick."""
INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"  # they turn or hide text: shown by number
SHOWN_AS = str.maketrans({"\t": "→\t", **{mark: f"[U+{ord(mark):04X}]" for mark in INVISIBLE}})


def about(dataset: Shown, report: Report, description: str) -> str:
    """Counts and what was found when it was read."""
    figures = (
        parts.stat(
            "Rows",
            words.count(dataset["rows"]),
            f"{words.count(dataset['dropped_rows'])} left out" if dataset["dropped_rows"] else "",
        ),
        parts.stat(
            "Held out by the data",
            words.count(dataset["heldout_rows"]),
            "" if dataset["heldout_rows"] else "a share is taken when training",
        ),
        _extent(report),
        parts.stat("Size", words.size(dataset["size_bytes"]), dataset["format_title"]),
    )
    line = f'<p class="ls-sub ls-gap-below">{parts.text(description)}</p>' if description else ""
    rest = [found for found in report.warnings if found.kind not in FOUND_BY_CHECKS]
    found = data_view.findings_table(rest) if rest else ""
    prints = f'<p class="ls-sub ls-gap">{parts.text(dataset["file_name"])} · sha256 <span class="ls-mono">{escape(dataset["sha256"][:16])}</span></p>'
    return parts.card(f'{line}<div class="ls-stats">{"".join(figures)}</div>{prints}{found}')


def _extent(report: Report) -> str:
    """How much there is to learn, in the unit of its kind."""
    if report.kind == "text":
        return parts.stat("Characters", words.short_count(report.characters), "all of them are learned")
    if report.kind == "preference":
        return parts.stat("Pairs of answers", words.count(report.turns), "one chosen, one rejected")
    marked = f"{words.plural(report.marked_rows, 'row')} with marked answers" if report.marked_rows else ""
    return parts.stat("Questions answered", words.count(report.turns), marked)


def token_row(row: Any, place: int, rows: int) -> str:
    """One row as the trainer reads it. `row` is a datasets.PreviewRow, `place` its place among the usable rows, from 1."""
    chips = parts.chip(f"{words.plural(row.trained_tokens, 'token')} trained", "ok" if row.trained_tokens else "bad")
    chips += parts.chip(f"{words.count(row.tokens - row.trained_tokens)} only read", "idle")
    if row.cut_tokens:
        chips += parts.chip(f"{words.count(row.cut_tokens)} cut off", "warn")
    if row.heldout:
        chips += parts.chip("Held out: measured on, not trained", "idle")
    where = f"Row {words.count(place)} of {words.count(rows)}" + (
        f", number {words.count(row.row)}" if row.row != place else ""
    )
    head = f'<div class="ls-row"><span class="ls-name ls-num">{where}</span>{chips}</div>'
    if row.rejected is None:
        if not row.tokens_in:
            return head + _region(where, tokens(row.pieces))
        return head + _region(f"{where}: arrow keys go from token to token", each_token(row.tokens_in[0])) + TOKEN_SAID
    # The prompt is the same before both: it is shown once
    answer = next((place for place, piece in enumerate(row.rejected) if piece.trained), 0)
    return (
        f'{head}<h3 class="ls-side">Chosen: made likelier</h3>{_region(f"{where}, chosen", tokens(row.pieces))}'
        '<h3 class="ls-side">Rejected, after the same question: made less likely</h3>'
        + _region(f"{where}, rejected", tokens(row.rejected[answer:], "r"))
    )


def _region(label: str, inner_html: str) -> str:
    return f'<div class="ls-tok ls-gap" tabindex="0" role="region" aria-label="{escape(label)}">{inner_html}</div>'


TOKEN_SAID = '<p class="ls-token-said" role="status">Point at a token, tap it, or use Tab and the arrow keys: its number is told here.</p>'
MOST_TOKENS = 3000  # of one row that are drawn one by one


def each_token(found: list[Token]) -> str:
    """Every token by itself: its id is shown below it when it is pointed at, tapped, or reached with the arrow keys (assets/tokens.js)."""
    drawn = [_token(token, place == 0) for place, token in enumerate(found[:MOST_TOKENS])]
    if len(found) > MOST_TOKENS:
        drawn.append(f'<span class="m"> … ({words.count(len(found) - MOST_TOKENS)} more tokens)</span>')
    return "".join(drawn)


def _token(token: Token, first: bool) -> str:
    kind = " ".join((["t"] if token.trained else []) + (["s"] if token.template else [])) or "m"
    return f'<span class="{kind}" data-token="{token.id}" tabindex="{0 if first else -1}">{escape(token.text.translate(SHOWN_AS))}</span>'


def tokens(pieces: list[Piece], trained: str = "t") -> str:
    """Pieces of text: green and underlined where the model is trained (red where an answer is rejected), grey where it only reads."""
    drawn, letters = [], 0
    for piece in pieces:
        kind = " ".join(([trained] if piece.trained else []) + (["s"] if piece.special else [])) or "m"
        text = piece.text[: MOST_LETTERS - letters]
        drawn.append(f'<span class="{kind}">{escape(text.translate(SHOWN_AS))}</span>')
        letters += len(text)
        if letters >= MOST_LETTERS:
            drawn.append('<span class="m"> … (the rest of this long row is not shown)</span>')
            break
    return "".join(drawn)


SAID = {
    "conversations": "Only the green tokens change the adapter.",
    "text": "All of a text is learned, from its start to the token that ends it.",
    "preference": "Only the two answers change the adapter: the green one is made likelier than the red one.",
}
LEGEND_OF_PAIRS = (
    '<div class="ls-tok ls-legend"><span class="t">chosen</span> <span class="r">rejected</span> '
    '<span class="m">only read</span> <span class="s">template</span></div>'
)
LEGEND = '<div class="ls-tok ls-legend"><span class="t">trained on</span> <span class="m">only read</span> <span class="s">template</span></div>'
