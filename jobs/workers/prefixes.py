"""Prefix sharing: what rows of a micro-batch have in common at their beginning is computed once, and nothing is computed that no loss needs.

In a causal model the hidden states of equal beginnings are equal, so rows that start alike (a system prompt, one fixed
instruction, the two answers to a question) need them once: each goes on from the shared keys and values with what is its
own, and autograd adds up what comes back to them (Wang et al. 2024, arXiv:2410.20305). Whatever follows the last token
that is learned from changes no loss, and is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from jobs.workers.packing import Example, MicroBatch, split_for_packing

LEAST_SAVED = 24  # tokens: a beginning that saves fewer costs as much in calls of attention (measured on small models; least there)


@dataclass(frozen=True)
class Segment:
    """Consecutive tokens of a row, computed for that row and for all that have them in common with it."""

    row: int  # number in its group, from 0
    start: int  # first position in the row
    end: int
    before: tuple[int, ...]  # numbers of the segments that hold the row's earlier positions, in their order

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Layout:
    """A group of rows as what is computed of them."""

    segments: list[Segment]
    of_rows: list[tuple[int, ...]]  # for each row the segments that it consists of, in their order

    @property
    def tokens(self) -> int:
        return sum(map(len, self.segments))


def needed(example: Example) -> int:
    """How many of a row's first tokens are computed: up to the one that the last learned token is predicted from."""
    learned = np.flatnonzero(example.trained[1:])
    return int(learned[-1]) + 1 if len(learned) else 0


def needed_ids(examples: Sequence[Example]) -> list[np.ndarray]:
    return [example.ids[: needed(example)] for example in examples]


def in_common(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two rows have in common at their beginning."""
    shorter = min(len(one), len(other))
    differ = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differ[0]) if len(differ) else shorter


def by_beginning(rows: Sequence[np.ndarray]) -> list[int]:
    """Numbers of the rows, those that begin alike beside each other."""
    return sorted(range(len(rows)), key=lambda number: rows[number].astype(">i4").tobytes())


def layout_of(rows: Sequence[np.ndarray]) -> Layout:
    """The rows as a tree: a beginning is shared where that saves at least LEAST_SAVED tokens, at any number of levels."""
    order = by_beginning(rows)
    alike = np.array([in_common(rows[one], rows[other]) for one, other in pairwise(order)], np.int64)
    segments: list[Segment] = []
    of_rows: list[tuple[int, ...]] = [()] * len(rows)
    waiting = [(0, len(order), ())]  # rows from and to a place in the order, which have these segments behind them
    while waiting:
        first, last, behind = waiting.pop()
        laid = segments[behind[-1]].end if behind else 0
        one = order[first]
        end = len(rows[one]) if last - first == 1 else int(alike[first : last - 1].min())
        alone, saved = last - first == 1, (end - laid) * (last - first - 1)
        if end > laid and (alone or saved >= LEAST_SAVED):
            segments.append(Segment(one, laid, end, behind))
            behind = (*behind, len(segments) - 1)
        if alone:
            of_rows[one] = behind
            continue
        cuts = [first, *(first + 1 + np.flatnonzero(alike[first : last - 1] == end)).tolist(), last]
        waiting += [(start, stop, behind) for start, stop in reversed(list(pairwise(cuts)))]
    return Layout(segments, of_rows)


def shared(examples: Sequence[Example], device: torch.device) -> MicroBatch:
    """The rows in one sequence, in which a beginning that several have stands once. Every row keeps all its losses."""
    layout = layout_of(needed_ids(examples))
    lengths = [len(segment) for segment in layout.segments]
    at = np.cumsum([0, *lengths])
    supervised, targets, documents = ([np.empty(0, np.int64)] for _ in range(3))
    for number, (example, chain) in enumerate(zip(examples, layout.of_rows, strict=True)):
        learned = np.flatnonzero(example.trained[1:])
        slots = concatenated(np.arange(at[one], at[one + 1]) for one in chain)
        supervised.append(slots[learned])
        targets.append(example.ids[learned + 1].astype(np.int64))
        documents.append(np.full(len(learned), number))
    ids = concatenated(examples[each.row].ids[each.start : each.end] for each in layout.segments)
    positions = concatenated(np.arange(each.start, each.end) for each in layout.segments)
    before = [segment.before for segment in layout.segments]
    on_device = [
        torch.from_numpy(each).to(device)
        for each in (ids[None], positions[None], *map(np.concatenate, (supervised, targets, documents)))
    ]
    return MicroBatch(
        input_ids=on_device[0],
        position_ids=on_device[1],
        lengths=lengths,
        before=before if any(before) else None,
        attention_mask=None,
        supervised=on_device[2],
        targets=on_device[3],
        documents=on_device[4],
        tokens=len(ids),
    )


def concatenated(parts: Iterator[np.ndarray]) -> np.ndarray:
    """int64, also of no part."""
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)


def split_for_sharing(rows: list, most_rows: int, most_tokens: int) -> list[list]:
    """Groups within the limits, by whichever order computes fewer tokens: by length, or by how the rows begin.

    `rows` have `documents`, the sequences that they are computed as. By length the groups are fuller, but rows that
    begin alike may come into different ones, each of which computes what they share.
    """
    by_length = split_for_packing(rows, most_rows, most_tokens)
    if len(by_length) == 1:
        return by_length
    alike = split_by_beginning(rows, most_rows, most_tokens)
    return min((by_length, alike), key=lambda groups: (sum(map(computed_tokens, groups)), len(groups)))


def computed_tokens(group: list) -> int:
    """Of rows that are computed at once."""
    return layout_of(needed_ids([document for row in group for document in row.documents])).tokens


def split_by_beginning(rows: list, most_rows: int, most_tokens: int) -> list[list]:
    """Rows that begin alike one after another, a new group where one is full. A row that is longer goes alone."""
    groups: list[list] = []
    firsts = needed_ids([row.documents[0] for row in rows])
    own = [computed_tokens([row]) for row in rows]
    used, last = 0, firsts[0]
    for number in by_beginning(firsts):
        # Beyond what two rows have in common, branches too short to share may cost each of their sequences up to LEAST_SAVED
        more = own[number] - max(0, in_common(last, firsts[number]) - 2 * LEAST_SAVED)
        if not groups or len(groups[-1]) == most_rows or used + more > most_tokens:
            groups.append([])
            used, more = 0, own[number]
        groups[-1].append(rows[number])
        used, last = used + more, firsts[number]
    return groups
