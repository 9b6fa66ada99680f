"""Which held-out rows are shown with both answers, what the models are asked of them, and what the data answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jobs.workers.packing import Example
from jobs.workers.pairs import Pair
from studio.folders import DatasetFolder
from studio.rows import read_rows
from studio.tokens import ChatTokenizer

OF_EACH_KIND = 3
MOST_ANSWER_TOKENS = 96
LEAST_ANSWER_TOKENS = 16
BEGINNING_TOKENS = 48  # of a text, to be gone on with
MOST_LETTERS = 4000  # of a question or an expected answer that is kept
Kind = Literal["best", "worst", "random"]


@dataclass(frozen=True)
class Shown:
    """One held-out row that both models answer."""

    place: int  # among the held-out rows, from 0
    row: int  # number in the source file, from 1
    kind: Kind
    prompt: list[int]
    asked: str
    expected: str
    most_tokens: int  # of an answer


def chosen_rows(gains: np.ndarray, seed: int, of_each: int = OF_EACH_KIND) -> list[tuple[int, Kind]]:
    """Places of the rows on which the adapter gained least (or lost most), gained most, and of some that are drawn.

    `gains`: by row, higher is better; what is no number is worst. Each row stands once, of very few the worst first.
    """
    order = np.argsort(np.nan_to_num(gains, nan=-np.inf), kind="stable").tolist()
    worst = order[:of_each]
    best = order[of_each:][-of_each:][::-1]
    others = sorted(set(range(len(gains))) - {*worst, *best})
    drawn = sorted(random.Random(seed).sample(others, min(of_each, len(others))))
    return [*((place, "worst") for place in worst), *((place, "best") for place in best)] + [
        (place, "random") for place in drawn
    ]


def shown_rows(
    heldout: Sequence[Example] | Sequence[Pair],
    chosen: Sequence[tuple[int, Kind]],
    folder: DatasetFolder,
    places: Sequence[int],
    tokenizer: ChatTokenizer,
    objective: str,
) -> list[Shown]:
    """`places`: of the held-out rows in the data set, from 0 (as `heldout`, except of texts)."""
    found = []
    for place, kind in chosen:
        row = heldout[place]
        example = row.chosen if isinstance(row, Pair) else row
        start, end = question_of(example, objective)
        prompt, expected = example.ids[:start].tolist(), example.ids[start:end].tolist()
        asked = tokenizer.decode(prompt) if objective == "text" else last_words(folder, int(places[place]), example)
        most = min(MOST_ANSWER_TOKENS, max(LEAST_ANSWER_TOKENS, len(expected) * 3 // 2))
        said = tokenizer.decode([id for id in expected if id not in set(tokenizer.stop_ids)])
        found.append(Shown(place, example.row, kind, prompt, asked[-MOST_LETTERS:], said[:MOST_LETTERS], most))
    return found


def question_of(example: Example, objective: str) -> tuple[int, int]:
    """Where the answer begins and ends that the models are to write: the row's last one that is learned, or the rest of a text."""
    count = len(example)
    if objective == "text":
        start = max(1, min(BEGINNING_TOKENS, count // 2))
        return start, min(count, start + MOST_ANSWER_TOKENS)
    learned = np.flatnonzero(example.trained[1:]) + 1
    begins = learned[np.flatnonzero(np.diff(learned, prepend=-1) > 1)]
    return int(begins[-1]), int(learned[-1]) + 1


def answers_before(example: Example) -> int:
    """Learned stretches before the last one."""
    return int(np.count_nonzero(np.diff(np.flatnonzero(example.trained[1:]), prepend=-2) > 1)) - 1


def last_words(folder: DatasetFolder, place: int, example: Example) -> str:
    """What was said just before the answer that is asked for."""
    [row] = read_rows(folder, place, 1)
    messages = row["messages"]
    if "chosen" in row:
        return messages[-1]["content"] if messages else ""
    answers = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    at = answers[min(answers_before(example), len(answers) - 1)] if answers else len(messages)
    return messages[at - 1]["content"] if at else ""
