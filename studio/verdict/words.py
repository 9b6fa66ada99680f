"""A verdict in words: a title, and one sentence for each thing that was measured."""

from studio.verdict.judgement import FEWEST_ROWS, Judgement

TITLES = {
    "better": "Better than the base on the held-out {units}.",
    "no change": "No change that could be told from chance.",
    "worse": "Worse than the base on the held-out {units}.",
    "overfitted": "Overfitted after step {step:,}: it went on learning the training {units} by heart.",
    "too few rows": "Too few held-out {units} to say whether it is better.",
    "not measured": "Not measured: nothing was held out.",
    "failed": "The adapter is there, and could not be judged.",
}
HOLD_OUT = "Hold out at least {fewest} rows (Held-out share, under Advanced), so that the next run can be judged."


def plural(number: float, one: str) -> str:
    return f"{number:,.0f} {one if number == 1 else one + 's'}"


def title(found: Judgement) -> str:
    if found.word == "worse" and found.not_numbers:
        return "Broken: its loss is not a number on some of the held-out rows."
    return TITLES[found.word].format(units=found.unit + "s", step=found.overfitted_after or 0)


def in_full(found: Judgement) -> str:
    """All of it in one line, for the log."""
    return " ".join([title(found), *sentences(found), *([improved(found)] if found.improved else [])])


def sentences(found: Judgement) -> list[str]:
    """In the order in which they matter. How many rows improved is a figure, not a sentence."""
    said = []
    if found.not_numbers:
        said.append(f"On {plural(found.not_numbers, found.unit)} its loss is not a number.")
    if found.loss:
        said.append(loss(found))
    if found.margin:
        said.append(margin(found))
    if found.word == "too few rows":
        said.append(f"Below {FEWEST_ROWS} {found.unit}s chance can do that.")
    if found.word in ("too few rows", "not measured"):
        said.append(HOLD_OUT.format(fewest=FEWEST_ROWS))
    return [*said, *([kept] if (kept := keeping(found)) else [])]


def loss(found: Judgement) -> str:
    values, of = found.loss, found.perplexity
    numbers = f"{values['adapter']:.3f} per token, the base's {values['base']:.3f}"
    perplexities = f"perplexity {figure(of['adapter'])} against {figure(of['base'])}"
    if values["low"] is None:
        return f"Its loss is {numbers} ({perplexities}); one {found.unit} says nothing of others."
    way = "lower" if values["change"] <= 0 else "higher"
    low, high = sorted((abs(values["low"]), abs(values["high"])))
    between = f"between {low:.3f} and {high:.3f} {way}"
    if values["low"] < 0 < values["high"]:
        between = f"between {-values['low']:.3f} lower and {values['high']:.3f} higher"
    return f"Its loss is {numbers} ({perplexities}): {between} with 95 % confidence, over {plural(found.rows, found.unit)}."


def figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}" if value < 1e9 else f"{value:.1e}"


def margin(found: Judgement) -> str:
    values = found.margin
    sure = "" if values["low"] is None else f" (95 % interval {values['low']:+.3f} to {values['high']:+.3f})"
    return f"Its margin between chosen and rejected answers is {values['mean']:+.3f}{sure}, the base's is 0 by definition, over {plural(found.rows, 'pair')}."


def improved(found: Judgement) -> str:
    values = found.improved
    between = f"{values['share']:.0%}; 95 % interval {values['low']:.0%} to {values['high']:.0%}"
    count = f"{values['count']:g} of {plural(found.rows, found.unit)}"
    if found.objective == "preference":
        return f"It moved towards the chosen answer in {count} ({between})."
    return f"{count} became likelier ({between})."


def keeping(found: Judgement) -> str:
    """Which step's adapter to keep, where that is a question."""
    if found.overfitted_after is None:
        return ""
    rise = f"From step {found.overfitted_after:,} to {found.last_step:,} the held-out loss rose by {found.rise['change']:.3f} per token."
    if found.step == found.keep_step:
        return f"{rise} The adapter of step {found.step:,} is the one kept."
    return f"{rise} Keep the adapter of step {found.keep_step:,} instead."
