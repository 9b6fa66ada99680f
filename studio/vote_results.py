"""What the blind votes on a base model and its adapters say: win rates, ratings over several models, agreement of raters."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Literal

import numpy
from sqlalchemy import select

from studio import ratings, votes
from studio.blind import BASE, LETTERS, key_of
from studio.records import LOCAL_PERSON, Adapter, BlindComparison, Person, Vote
from studio.studio import Studio

FEWEST = 10  # decided votes on a pair below which nothing is said about it
SAMPLES = 1000  # of the bootstrap
Outcome = Literal["win", "loss", "tie", "bad"]
OUTCOMES: tuple[Outcome, ...] = ("win", "loss", "tie", "bad")
MIRRORED: dict[Outcome, Outcome] = {"win": "loss", "loss": "win", "tie": "tie", "bad": "bad"}


@dataclass
class Pair:
    """Two models, and how often the first was found better than the second."""

    first: str
    second: str
    wins: int = 0
    losses: int = 0
    ties: int = 0
    bad: int = 0  # both bad: said nothing about which is better, and counts in no rate

    @property
    def decided(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def rate(self) -> float | None:
        """Share of decided votes that the first won, a tie as half a win."""
        return (self.wins + self.ties / 2) / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % score interval of the rate (Wilson)."""
        return ratings.wilson(self.wins + self.ties / 2, self.decided) if self.decided else None

    @property
    def says(self) -> Literal["too few", "first", "second", "unclear"]:
        """Which is better, where the votes tell: the whole interval must lie on one side of a half."""
        if self.decided < FEWEST:
            return "too few"
        low, high = self.interval
        return "first" if low > 0.5 else "second" if high < 0.5 else "unclear"

    def shown(self) -> dict:
        return {
            **asdict(self),
            "decided": self.decided,
            "rate": self.rate,
            "interval": self.interval,
            "says": self.says,
        }


@dataclass
class Rating:
    """Strength in points: 400 points more are ten wins to one."""

    model: str
    points: float
    low: float
    high: float
    votes: int


@dataclass
class Agreement:
    """How often people who judged the same two models on the same questions said the same."""

    people: list[str]
    things: int  # judged by at least two of them
    agreed: int  # things on which all who judged said the same
    kappa: float | None  # Cohen's for two people, Fleiss' for more; None where it cannot be told


@dataclass
class Results:
    base_model: str
    votes: int
    names: dict[str, str]  # of the models, by key
    people: dict[str, str]  # who voted: name by id
    pairs: list[Pair]
    ratings: list[list[Rating]] = field(default_factory=list)  # per group of models that have met, strongest first
    agreement: list[Agreement] = field(default_factory=list)

    def shown(self) -> dict:
        return {**asdict(self), "pairs": [pair.shown() for pair in self.pairs]}


def results(studio: Studio, base_model: str, person: str = LOCAL_PERSON, by: str | None = None) -> Results:
    """All that the closed votes say that `person` may know of; with `by`, one person's votes alone."""
    cast = votes.closed_votes(studio, base_model, person, by)
    pairs = counted(cast)
    return Results(
        base_model=base_model,
        votes=len(cast),
        names=_names(studio, cast),
        people=_people(studio, cast),
        pairs=sorted(pairs.values(), key=lambda pair: (-pair.decided, pair.first, pair.second)),
        ratings=rated(cast),
        agreement=agreements(cast),
    )


def against_base(studio: Studio, adapter: Adapter, person: str = LOCAL_PERSON) -> Pair:
    """How one adapter stands against its base."""
    cast = votes.closed_votes(studio, adapter.base_model, person, texts=False)
    return counted(cast).get((adapter.id, BASE), Pair(adapter.id, BASE))


def counted(cast: Iterable[tuple[Vote, BlindComparison]]) -> dict[tuple[str, str], Pair]:
    pairs: dict[tuple[str, str], Pair] = {}
    for vote, comparison in cast:
        for first, second, outcome in outcomes(vote, comparison):
            pair = pairs.setdefault((first, second), Pair(first, second))
            match outcome:
                case "win":
                    pair.wins += 1
                case "loss":
                    pair.losses += 1
                case "tie":
                    pair.ties += 1
                case "bad":
                    pair.bad += 1
    return pairs


def outcomes(vote: Vote, comparison: BlindComparison) -> Iterator[tuple[str, str, Outcome]]:
    """What one vote says of each two of its models; the base comes second, adapters in the order of their ids.

    The best answer beats every other one; which of the others is better, the vote does not say.
    """
    keys = keys_of(comparison)
    best = keys[LETTERS.index(vote.choice)] if vote.choice in LETTERS else None
    for first, second in combinations(sorted(keys, key=lambda key: (key == BASE, key)), 2):
        if best is None:
            yield first, second, "tie" if vote.choice == "tie" else "bad"
        elif best in (first, second):
            yield first, second, "win" if best == first else "loss"


def keys_of(comparison: BlindComparison) -> list[str]:
    """The models in the shown order."""
    return [key_of(side) for side in comparison.columns]


def rated(cast: list[tuple[Vote, BlindComparison]]) -> list[list[Rating]]:
    """Bradley-Terry ratings with bootstrap intervals, for each group of at least three models that are joined by votes.

    The base stands at 0 points where it is in the group, otherwise the mean does.
    """
    keys = sorted({key for vote, comparison in cast for key in keys_of(comparison)}, key=lambda key: (key != BASE, key))
    wins = _wins(cast, {key: place for place, key in enumerate(keys)})
    met = (wins + wins.swapaxes(1, 2)).sum(0) if len(cast) else numpy.zeros((0, 0))
    return [
        _group(wins[:, group][:, :, group], [keys[at] for at in group])
        for group in ratings.groups(met)
        if len(group) > 2
    ]


def _wins(cast: list[tuple[Vote, BlindComparison]], place: dict[str, int]) -> numpy.ndarray:
    """wins[v, i, j] of each vote, a tie as half a win for both."""
    wins = numpy.zeros((len(cast), len(place), len(place)))
    for number, (vote, comparison) in enumerate(cast):
        for first, second, outcome in outcomes(vote, comparison):
            i, j = place[first], place[second]
            share = {"win": 1.0, "loss": 0.0, "tie": 0.5}.get(outcome)
            if share is not None:
                wins[number, i, j], wins[number, j, i] = share, 1 - share
    return wins


def _group(wins: numpy.ndarray, keys: list[str]) -> list[Rating]:
    wins = wins[wins.any((1, 2))]  # the votes that say something of these models
    strengths, samples = ratings.bradley_terry(wins.sum(0)), ratings.bootstrap(wins, SAMPLES)
    if BASE in keys:
        at = keys.index(BASE)
        strengths, samples = strengths - strengths[at], samples - samples[:, at : at + 1]
    low, high = ratings.interval(samples)
    decided = (wins + wins.swapaxes(1, 2)).any(2).sum(0)
    points = [[float(round(value * ratings.POINTS, 1)) for value in values] for values in (strengths, low, high)]
    found = [Rating(key, *numbers, int(count)) for key, *numbers, count in zip(keys, *points, decided, strict=True)]
    return sorted(found, key=lambda rating: -rating.points)


def agreements(cast: Iterable[tuple[Vote, BlindComparison]]) -> list[Agreement]:
    """Cohen's kappa of every two people who judged the same things, and Fleiss' kappa over all when there are more."""
    said = judgements(cast)
    people = sorted({person for things in said.values() for person in things})
    found = [agreement for two in combinations(people, 2) if (agreement := _of_two(said, *two)).things]
    return [*([_of_all(said, people)] if len(people) > 2 and found else []), *found]


def judgements(cast: Iterable[tuple[Vote, BlindComparison]]) -> dict[tuple, dict[str, Outcome]]:
    """By thing (two models and the questions they were asked) what each person said of it last."""
    said: dict[tuple, dict[str, Outcome]] = defaultdict(dict)
    for vote, comparison in cast:
        asked = tuple(turn["question"] for turn in comparison.turns)
        for first, second, outcome in outcomes(vote, comparison):
            said[first, second, asked][vote.person] = outcome
    return said


def _of_two(said: dict[tuple, dict[str, Outcome]], one: str, other: str) -> Agreement:
    table = numpy.zeros((len(OUTCOMES), len(OUTCOMES)), int)
    for things in said.values():
        if one in things and other in things:
            table[OUTCOMES.index(things[one]), OUTCOMES.index(things[other])] += 1
    return Agreement([one, other], int(table.sum()), int(table.trace()), ratings.cohen_kappa(table))


def _of_all(said: dict[tuple, dict[str, Outcome]], people: list[str]) -> Agreement:
    table = [
        [list(things.values()).count(outcome) for outcome in OUTCOMES] for things in said.values() if len(things) > 1
    ]
    return Agreement(people, len(table), sum(max(row) == sum(row) for row in table), ratings.fleiss_kappa(table))


def _names(studio: Studio, cast: Iterable[tuple[Vote, BlindComparison]]) -> dict[str, str]:
    """What the models are called now; one that is gone keeps the name that it had."""
    names = {key_of(side): side["name"] for _, comparison in cast for side in comparison.columns}
    with studio.database.read() as session:
        known = session.execute(select(Adapter.id, Adapter.name).where(Adapter.id.in_(list(names))))
        return names | dict(known.all())


def _people(studio: Studio, cast: Iterable[tuple[Vote, BlindComparison]]) -> dict[str, str]:
    with studio.database.read() as session:
        people = session.execute(select(Person.id, Person.name).where(Person.id.in_({vote.person for vote, _ in cast})))
        return dict(people.all())
