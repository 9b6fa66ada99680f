"""Forgetting: what a base model answered right on neutral questions, and with an adapter on it no longer does."""

from dataclasses import dataclass
from typing import Any

from studio.paired import probability
from studio.records import LOCAL_PERSON, JobState, SuiteRun
from studio.studio import Studio
from studio.suites.results import base_place
from studio.suites.runs import OPEN, list_suite_runs

SHOWN_TOPICS = 4


@dataclass(frozen=True)
class Forgetting:
    """How one adapter and its base did on the neutral questions."""

    run: SuiteRun
    before: int
    after: int
    paired: dict[str, Any]
    lost_topics: dict[str, int]

    @property
    def judged(self) -> int:
        return sum(self.paired[name] for name in ("both", "lost", "gained", "neither"))

    @property
    def forgot(self) -> bool:
        """Only where so uneven a loss is hardly chance (McNemar's exact test, 5 %)."""
        return self.paired["says"] == "worse"

    @property
    def sentence(self) -> str:
        """ "31 of 34 right before, 22 after: lost 10 (arithmetic 5, capitals 3), gained 1. ..." """
        low, high = (100 * self.paired[name] for name in ("low", "high"))
        topics = [f"{topic} {count}" for topic, count in self.lost_topics.items() if topic][:SHOWN_TOPICS]
        lost = f"lost {self.paired['lost']}" + (f" ({', '.join(topics)})" if topics else "")
        return (
            f"{self.before} of {self.judged} right before, {self.after} after: {lost}, gained {self.paired['gained']}. "
            f"That is {100 * self.paired['difference']:+.0f} points (95 % between {low:+.0f} and {high:+.0f}; McNemar exact {probability(self.paired['chance'])})."
        )

    @property
    def title(self) -> str:
        if self.forgot:
            return "It has forgotten some of what its base knew."
        lost_some = self.paired["lost"] > self.paired["gained"]
        return "What it lost may be chance." if lost_some else "Nothing is forgotten that these questions would show."


def forgetting_of(studio: Studio, adapter: str, owner: str = LOCAL_PERSON) -> Forgetting | None:
    """By the newest finished run of the neutral questions; None where there is none."""
    for run in list_suite_runs(studio, owner, adapter=adapter).items:
        if run.neutral and run.state is JobState.DONE and base_place(run.columns) is not None:
            return read(run, adapter)
    return None


def read(run: SuiteRun, adapter: str) -> Forgetting | None:
    place = next((place for place, column in enumerate(run.columns) if column.get("adapter") == adapter), None)
    told = run.result["columns"][place] if place is not None else {}
    if not told.get("paired"):
        return None
    paired = told["paired"]
    return Forgetting(
        run, paired["both"] + paired["lost"], paired["both"] + paired["gained"], paired, told["lost_topics"]
    )


def being_looked_at(studio: Studio, adapter: str, owner: str = LOCAL_PERSON) -> SuiteRun | None:
    """The run of the neutral questions that waits or is being answered for this adapter."""
    found = list_suite_runs(studio, owner, adapter=adapter).items
    return next((run for run in found if run.neutral and run.state in OPEN), None)
