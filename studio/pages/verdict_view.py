"""How a verdict is drawn: its word and numbers on a card, and below it the rows that both models answered."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from studio.compare import word_differences
from studio.pages import parts, words
from studio.verdict.told import told

CHIPS = {  # the verdict's word → what stands on the chip, and its colour
    "better": ("Better", "ok"),
    "no change": ("No change", "idle"),
    "worse": ("Worse", "bad"),
    "overfitted": ("Overfitted", "warn"),
    "too few rows": ("Too few rows", "idle"),
    "not measured": ("Not measured", "idle"),
    "failed": ("Not judged", "warn"),
}
KINDS = {"worst": "Gained least", "best": "Gained most", "random": "Drawn at random"}
TAGS = {"added": "ins", "removed": "del"}
Verdict = Mapping[str, Any]


def chip(word: str | None) -> str:
    """ "" where there is no verdict."""
    return parts.chip(*CHIPS[word]) if word in CHIPS else ""


def card(verdict: Verdict | None, actions_html: str = "") -> str:
    """ "" where there is none. `verdict` may be what anybody wrote into a passport."""
    verdict = told(verdict)
    if not verdict:
        return ""
    said = "".join(f"<p>{escape(str(sentence))}</p>" for sentence in verdict.get("sentences") or ())
    notes = busy(verdict) or (
        f'<p class="ls-muted">{escape(str(verdict["problem"]))}</p>' if verdict.get("problem") else ""
    )
    after = f'<div class="ls-row">{actions_html}</div>' if actions_html else ""
    return (
        f'<section class="ls-card ls-verdict" aria-label="Verdict"><div class="ls-row">{chip(verdict["word"])}'
        f"<h2>{escape(str(verdict.get('title')))}</h2></div>{figures(verdict)}"
        f'<div class="said">{said}{notes}</div>{after}{answered(verdict.get("examples") or ())}</section>'
    )


def busy(verdict: Verdict) -> str:
    """How far the judging is; "" when it is done."""
    if verdict.get("done"):
        return ""
    asked = int(verdict.get("asked") or 0)
    how_far = f": answers to row {int(verdict.get('answered') or 0)} of {asked}" if asked else ""
    return f'<p class="ls-muted" role="status">Judging{how_far}.</p>'


def figures(verdict: Verdict) -> str:
    stats = [*loss_stats(verdict), *margin_stat(verdict), *improved_stat(verdict)]
    if verdict.get("overfitted_after"):
        note = (
            "is the one kept"
            if verdict.get("keep_step") == verdict.get("step")
            else f"not {words.count(verdict['step'])}"
        )
        stats.append(parts.stat("Step to keep", words.count(verdict["keep_step"]), note))
    return f'<div class="ls-grid ls-g4">{"".join(stats)}</div>' if stats else ""


def loss_stats(verdict: Verdict) -> list[str]:
    loss, of = verdict.get("loss") or {}, verdict.get("perplexity") or {}
    if not loss:
        return []
    sure = "" if loss.get("low") is None else f"95 %: {signed(loss['low'])} to {signed(loss['high'])}"
    return [
        parts.stat("Loss against the base", signed(loss["change"]), sure),
        parts.stat("Perplexity", words.figure(of["adapter"]), f"base {words.figure(of['base'])}"),
    ]


def margin_stat(verdict: Verdict) -> list[str]:
    margin = verdict.get("margin") or {}
    if not margin:
        return []
    sure = "" if margin.get("low") is None else f"95 %: {signed(margin['low'])} to {signed(margin['high'])}"
    return [parts.stat("Margin", signed(margin["mean"]), sure)]


def improved_stat(verdict: Verdict) -> list[str]:
    improved = verdict.get("improved") or {}
    if not improved:
        return []
    what = (
        "Pairs moved right"
        if verdict.get("objective") == "preference"
        else f"{str(verdict['unit']).capitalize()}s improved"
    )
    between = f"95 %: {improved['low']:.0%} to {improved['high']:.0%}"
    return [parts.stat(what, f"{improved['count']:g} of {words.count(verdict['rows'])}", between)]


def signed(value: float) -> str:
    """-0.8312 → "−0.831"."""
    return f"{'−' if value < 0 else '+'}{abs(value):.3f}"


def answered(examples: Sequence[Mapping[str, Any]]) -> str:
    """The rows with both answers, folded."""
    if not examples:
        return ""
    rows = "".join(_answered(example) for example in examples)
    count = words.plural(len(examples), "held-out row")
    return f'<details class="ls-more"><summary>Both answers to {count}</summary><div class="ls-judged">{rows}</div></details>'


def _answered(example: Mapping[str, Any]) -> str:
    base, adapter = str(example["base"]), str(example["adapter"])
    marked = "".join(
        f"<{TAGS[kind]}>{escape(text)}</{TAGS[kind]}>" if kind in TAGS else escape(text)
        for kind, text in word_differences(base, adapter)
    )
    losses = ""
    if example.get("base_loss") is not None and example.get("adapter_loss") is not None:
        losses = f", loss {words.loss(example['base_loss'])} → {words.loss(example['adapter_loss'])}"
    head = f'<p class="ls-muted">{KINDS.get(str(example["kind"]), "")}: row {words.count(example["row"])}{losses}</p>'
    return (
        f'<section class="ls-both">{head}<h3>{parts.text(example["asked"])}</h3><dl>'
        f'<dt class="base">Base</dt><dd>{parts.text(base) or "(an empty answer)"}</dd>'
        f'<dt>Adapter</dt><dd class="ls-diff">{marked or "(an empty answer)"}</dd>'
        f"<dt>Data</dt><dd>{parts.text(example['expected'])}</dd></dl></section>"
    )
