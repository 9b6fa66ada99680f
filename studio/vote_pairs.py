"""Votes as preference pairs: the answer that people found best beside each that it was preferred to, ready for DPO."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from studio import blind, dataset_uploads, datasets, votes
from studio.errors import Conflict, Invalid, at_field
from studio.folders import new_id
from studio.formats import KINDS
from studio.heldout import content_hash
from studio.records import LOCAL_PERSON, BlindComparison, Dataset, DatasetVersion, Vote
from studio.rows import iter_training_rows
from studio.studio import Studio
from studio.versions.edits import Edit, fields_of
from studio.versions.saving import save_version

FILE_NAME = "votes.jsonl"


@dataclass
class Pairs:
    """Rows for training, and what has been left out of them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    ties: int = 0  # votes for "about the same"
    bad: int = 0  # votes for "all bad"
    split: int = 0  # two answers of one comparison that were preferred to each other as often
    same: int = 0  # the preferred answer says what the other one says
    empty: int = 0  # an answer without words, from which nothing can be learned

    def left_out(self) -> dict[str, int]:
        return {name: count for name, count in asdict(self).items() if name != "rows"}


def preference_pairs(studio: Studio, base_model: str, person: str = LOCAL_PERSON) -> Pairs:
    """From every closed vote on this base model and its adapters that `person` may know of.

    When several people voted on one comparison, their majority decides for each two of its answers.
    """
    found = Pairs()
    cast = sorted(votes.closed_votes(studio, base_model, person), key=lambda both: (both[1].created_at, both[1].id))
    for _, group in groupby(cast, key=lambda both: both[1].id):
        together = list(group)
        found.ties += sum(vote.choice == "tie" for vote, _ in together)
        found.bad += sum(vote.choice == "bad" for vote, _ in together)
        _add(found, together[0][1], [vote for vote, _ in together])
    return found


def _add(found: Pairs, comparison: BlindComparison, cast: Iterable[Vote]) -> None:
    for (better, worse), more in _preferred(comparison, cast).items():
        if more <= 0:
            found.split += more == 0
            continue
        row = _row(comparison, better, worse)
        if not all(message["content"].strip() for side in ("chosen", "rejected") for message in row[side]):
            found.empty += 1
        elif _texts(row["chosen"]) == _texts(row["rejected"]):
            found.same += 1
        else:
            found.rows.append(row)


def _preferred(comparison: BlindComparison, cast: Iterable[Vote]) -> dict[tuple[int, int], int]:
    """By (place of one answer, place of another): how many more votes the one got against the other. Each two stand once."""
    best = [blind.LETTERS.index(vote.choice) for vote in cast if vote.choice in blind.LETTERS]
    more: Counter[tuple[int, int]] = Counter()
    for winner in best:
        more.update((winner, place) for place in range(len(comparison.columns)) if place != winner)
    net = {(one, other): count - more[other, one] for (one, other), count in more.items()}
    return {pair: count for pair, count in net.items() if count > 0 or (count == 0 and pair[0] < pair[1])}


def _row(comparison: BlindComparison, better: int, worse: int) -> dict[str, list[dict]]:
    """The prompt is what both have in common: instructions, and questions up to the first answer that differs."""
    system = comparison.settings.get("system")
    before = [{"role": "system", "content": system}] if system else []
    chosen, rejected = (blind.conversation(comparison.turns, place) for place in (better, worse))
    together = 1  # the first question is the same
    while together < len(chosen) - 1 and chosen[together] == rejected[together]:
        together += 1
    return {"prompt": before + chosen[:together], "chosen": chosen[together:], "rejected": rejected[together:]}


def _texts(messages: list[dict]) -> list[str]:
    return [message["content"].strip() for message in messages]


def lines(pairs: Pairs) -> Iterator[str]:
    """JSON Lines, in the shape that the upload knows as preference pairs."""
    for row in pairs.rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def make_dataset(studio: Studio, base_model: str, name: str | None = None, person: str = LOCAL_PERSON) -> Dataset:
    """The pairs as a data set, by the way of every upload. Raises Conflict when no vote prefers one answer to another."""
    pairs = _some_pairs(studio, base_model, person)
    file = studio.data.incoming / new_id()
    try:
        file.write_text("".join(lines(pairs)), encoding="utf-8")
        return dataset_uploads.add_upload(studio, file, FILE_NAME, name or "Preferences from votes", owner=person)
    finally:
        file.unlink(missing_ok=True)


def add_to_dataset(studio: Studio, base_model: str, id: str, person: str = LOCAL_PERSON) -> DatasetVersion:
    """The pairs that a data set of preferences does not have yet, as its next version. Raises Conflict when it has them all."""
    with at_field("dataset"):
        dataset = datasets.get_dataset(studio, id)
    if dataset.kind != "preference":
        raise Invalid(
            f"'{dataset.name}' holds {KINDS[dataset.kind].lower()}, and votes give preference pairs.",
            "Choose a data set of preference pairs, or make a new one.",
            "dataset",
        )
    rows = _some_pairs(studio, base_model, person).rows
    there = {content_hash(row) for row in iter_training_rows(studio.data.dataset(id, dataset.version))}
    new = [row for row in rows if content_hash(fields_of(row, "preference")) not in there]
    if not new:
        raise Conflict(f"'{dataset.name}' has every pair of these votes already.", "Vote on more answers first.")
    said = f"From votes: {len(new):,} {'pair' if len(new) == 1 else 'pairs'}."
    return save_version(studio, id, dataset.version, [Edit(op="add", value=row) for row in new], said, person)


def _some_pairs(studio: Studio, base_model: str, person: str) -> Pairs:
    pairs = preference_pairs(studio, base_model, person)
    if not pairs.rows:
        raise Conflict(
            "No vote prefers one answer to another that differs from it, so there is nothing to learn from yet.",
            "Compare blind and vote for the better answers.",
        )
    return pairs
