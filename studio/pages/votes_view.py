"""How the results of blind votes are drawn: win rates with their intervals, ratings, agreement, and in words what they say."""

from collections.abc import Mapping
from html import escape

from studio.pages import parts, words
from studio.vote_pairs import Pairs
from studio.vote_results import BASE, FEWEST, Agreement, Pair, Rating, Results

HEADINGS = ("Compared", "Won", "Lost", "The same", "All bad", "Win rate", "What it says")
CELLS = ("wrap", "ls-right ls-num", "ls-right ls-num", "ls-right ls-num", "ls-right ls-num", "", "wrap")
WORDS_OF_KAPPA = ((0.8, "almost always"), (0.6, "mostly"), (0.4, "somewhat"), (0.2, "a little"))
LEFT_OUT = {
    "ties": "about the same",
    "bad": "all bad",
    "split": "people disagreed",
    "same": "both answers were alike",
    "empty": "an answer was empty",
}


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def between(interval: tuple[float, float]) -> str:
    """(0.48, 0.85) → "48 to 85 %"."""
    return f"{interval[0] * 100:.0f} to {interval[1] * 100:.0f} %"


def drawn(results: Results, pairs: Pairs) -> str:
    """All that there is to see of one base model's votes."""
    if not results.votes:
        return nothing()
    cards = [win_rates(results), *(strengths(group, results.names) for group in results.ratings)]
    cards += [agreement(results.agreement, results.people)] if len(results.people) > 1 else []
    return "".join(cards) + to_learn_from(results, pairs)


def nothing() -> str:
    start = parts.button("Compare blind", "/compare?blind=1", primary=True)
    words = "Turn on Blind on the Compare page, ask something and choose the best answer before you know whose it is."
    return parts.empty("compare", "No votes yet", words, start)


def name_of(key: str, names: Mapping[str, str]) -> str:
    """A model's name as text that is not escaped yet; the base says that it is one."""
    return f"{names.get(key, key)} (base)" if key == BASE else names.get(key, key)


def win_rates(results: Results) -> str:
    rows = [_row(pair, results.names) for pair in results.pairs]
    how = (
        "Of each two models, how often the first was found better. A tie counts as half a win; “all bad” counts in no rate. "
        "The bar is the 95 % interval: where the true rate may well lie after so few votes."
    )
    return parts.card(
        parts.table(HEADINGS, rows, "Win rates", "phone ls-rates", CELLS), "Win rates", how, "ls-gap-below"
    )


def _row(pair: Pair, names: Mapping[str, str]) -> tuple[str, ...]:
    first = parts.text(name_of(pair.first, names))
    if pair.first.isalnum() and pair.first != BASE:  # an adapter: mixes and checkpoints have no page of their own
        first = f'<a href="/adapters?id={escape(pair.first)}">{first}</a>'
    against = f'{first}<div class="ls-muted">against {parts.text(name_of(pair.second, names))}</div>'
    counts = (pair.wins, pair.losses, pair.ties, pair.bad)
    return (against, *map(words.count, counts), _rate(pair), verdict_chip(pair, names))


def _rate(pair: Pair) -> str:
    if pair.rate is None:
        return '<span class="ls-muted">–</span>'
    return f'<div class="ls-rate"><span class="ls-num"><b>{percent(pair.rate)}</b> {between(pair.interval)}</span>{bar(pair)}</div>'


def bar(pair: Pair) -> str:
    """The interval on a scale from 0 to 100 %, with a line at a half and a dot at the rate."""
    low, high = pair.interval
    said = f"Win rate {percent(pair.rate)}, 95 % interval {between(pair.interval)}"
    return (
        f'<div class="ls-span" role="img" aria-label="{said}"><i style="left:{low:.1%};width:{high - low:.1%}"></i>'
        f'<u style="left:{pair.rate:.1%}"></u></div>'
    )


def verdict_chip(pair: Pair, names: Mapping[str, str]) -> str:
    match pair.says:
        case "too few":
            return parts.chip(f"{pair.decided} of at least {FEWEST} votes") + _small("Too few to say anything.")
        case "first" | "second":
            better = pair.first if pair.says == "first" else pair.second
            kind = "warn" if better == BASE else "ok"
            return parts.chip("Better", kind) + _small(f"{name_of(better, names)} is preferred.")
        case _:
            return parts.chip("No difference shown") + _small("50 % is within the interval: it may be chance.")


def _small(text: str) -> str:
    return f'<div class="ls-muted">{parts.text(text)}</div>'


def strengths(group: list[Rating], names: Mapping[str, str]) -> str:
    """Ratings on one scale, strongest first."""
    low, high = min(rating.low for rating in group), max(rating.high for rating in group)
    width = (high - low) or 1.0

    def row(rating: Rating) -> tuple[str, ...]:
        at, start, length = (
            (rating.points - low) / width,
            (rating.low - low) / width,
            (rating.high - rating.low) / width,
        )
        said = f"{signed(rating.points)} points, 95 % interval {signed(rating.low)} to {signed(rating.high)}"
        drawn = (
            f'<div class="ls-span wide" role="img" aria-label="{said}"><i style="left:{start:.1%};width:{length:.1%}"></i>'
            f'<u style="left:{at:.1%}"></u></div>'
        )
        spread = (
            "the scale's zero" if rating.low == rating.high == 0 else f"{signed(rating.low)} to {signed(rating.high)}"
        )
        numbers = f'<b>{signed(rating.points)}</b> <span class="ls-muted">{spread}</span>'
        return parts.text(name_of(rating.model, names)), words.count(rating.votes), numbers, drawn

    zero = "the base stands at 0" if any(rating.model == BASE for rating in group) else "the mean stands at 0"
    how = (
        f"All votes together on one scale (Bradley-Terry), {zero}. 100 points more win about 64 of 100 votes, 400 points 91. "
        "Intervals of 95 % from 1,000 resamples of the votes. Where they overlap, the order may be chance."
    )
    cells = ("wrap", "ls-right ls-num", "ls-num", "")
    table = parts.table(
        ("Model", "Votes", "Points", "Interval"), map(row, group), "Ratings", "phone ls-strengths", cells
    )
    return parts.card(table, "Ratings", how, "ls-gap-below")


def signed(points: float) -> str:
    return "0" if round(points) == 0 else f"{'−' if points < 0 else '+'}{abs(points):,.0f}"


def agreement(found: list[Agreement], people: Mapping[str, str]) -> str:
    how = "Where several people judged the same two models on the same questions. Kappa is 1 for full agreement and 0 for what chance would give."
    if not found:
        return parts.card("", "Agreement", f"{how} Nobody has judged the same as somebody else yet.", "ls-gap-below")

    def row(one: Agreement) -> tuple[str, ...]:
        kappa = "–" if one.kappa is None else f"{one.kappa:.2f}".replace("-", "−")
        who = ", ".join(people.get(person, person) for person in one.people)
        counts = f"{words.count(one.agreed)} of {words.count(one.things)}"
        return parts.text(who), counts, kappa, escape(in_words(one))

    cells = ("wrap", "ls-right ls-num", "ls-right ls-num", "wrap")
    table = parts.table(
        ("People", "Agreed", "Kappa", "In words"), map(row, found), "Agreement", "phone ls-agree", cells
    )
    return parts.card(table, "Agreement", how, "ls-gap-below")


def in_words(one: Agreement) -> str:
    if one.things < FEWEST:
        return f"Too few to say anything: {one.things} of at least {FEWEST}."
    if one.kappa is None:
        return "Everybody always says the same, so chance alone would agree as well."
    often = next((often for least, often in WORDS_OF_KAPPA if one.kappa >= least), None)
    return f"They agree {often}." if often else "They agree hardly more often than chance would."


def to_learn_from(results: Results, pairs: Pairs) -> str:
    """What the votes leave for a preference training."""
    count = words.plural(len(pairs.rows), "pair") + " of a preferred and another answer"
    left = ", ".join(
        f"{words.count(number)} because {LEFT_OUT[name]}" for name, number in pairs.left_out().items() if number
    )
    said = f"{count}{f'; left out: {left}' if left else ''}. As a data set they teach a model by preference (DPO)."
    href = f"/api/v1/votes/export?base_model={results.base_model}"
    link = parts.button("Download as JSON Lines", href, download=True) if pairs.rows else ""
    return parts.card(f'<div class="ls-row ls-gap">{link}</div>' if link else "", "Learn from these votes", said)


def line(pair: Pair) -> str:
    """One adapter against its base in a sentence: "Won 14 of 20 blind votes against the base: 70 %, 48 to 85 %."."""
    if not pair.decided:
        return ""
    ties = f" ({words.plural(pair.ties, 'tie')})" if pair.ties else ""
    said = f"Won {pair.wins} of {words.plural(pair.decided, 'blind vote')} against the base{ties}"
    if pair.says == "too few":
        return f"{said}: too few to say anything."
    means = {"first": "it is preferred", "second": "the base is preferred", "unclear": "no difference shown yet"}[
        pair.says
    ]
    return f"{said}, {between(pair.interval)}: {means}."


def note(pair: Pair, base_model: str) -> str:
    """The same for an adapter's page, with the way to all votes; nothing before the first vote."""
    said = line(pair)
    link = parts.button("All votes", f"/votes?model={base_model}", small=True)
    return f'<div class="ls-gap-below">{parts.banner("info", said, "", link)}</div>' if said else ""
