"""Rows of a data set as token ids and marks: what is trained on, what is held out, and what was cut or left out."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np

from jobs.workers.packing import Example
from jobs.workers.report import Report
from studio.errors import BadInput
from studio.resolved_plan import ResolvedPlan
from studio.tokens import ChatTokenizer

SAMPLED = 3  # prompts answered at each evaluation when the person pinned none


@dataclass
class Data:
    train: list[Example] = field(default_factory=list)
    heldout: list[Example] = field(default_factory=list)
    prompts: list[list[dict]] = field(default_factory=list)  # messages before the answer, of the first held-out rows
    cut_rows: int = 0  # rows longer than the sequence length
    cut_tokens: int = 0
    unlearnable: list[int] = field(default_factory=list)  # rows that have no answer within the sequence length

    @property
    def train_tokens(self) -> int:
        return sum(len(example) for example in self.train)

    @property
    def heldout_tokens(self) -> int:
        """Supervised ones: what the held-out loss is the mean over."""
        return sum(example.trained_tokens for example in self.heldout)

    def tell(self, report: Report, most: int) -> None:
        """What is trained on, and everything that is not."""
        report.say(f"{len(self.train)} rows to train on ({self.train_tokens:,} tokens), {len(self.heldout)} held out.")
        if self.cut_rows:
            said = f"{self.cut_rows} rows are longer than {most} tokens"
            report.say(f"{said}; {self.cut_tokens:,} tokens were cut from their ends.")
        if self.unlearnable:
            numbers = ", ".join(map(str, self.unlearnable[:10])) + (" ..." if len(self.unlearnable) > 10 else "")
            report.say(f"{len(self.unlearnable)} rows have no answer within that length and are left out: {numbers}.")
        report.facts |= {
            "cut_rows": self.cut_rows,
            "cut_tokens": self.cut_tokens,
            "unlearnable_rows": len(self.unlearnable),
            "train_rows": len(self.train),
            "heldout_rows": len(self.heldout),
        }


def read_examples(
    rows: Callable[[], Iterable[dict]], tokenizer: ChatTokenizer, resolved: ResolvedPlan, seed: int
) -> Data:
    """Encode every row and set the held-out ones apart. Raises BadInput when nothing is left to learn from."""
    data, train_prompts = Data(), []
    marked, contents = [], []
    for row in rows():
        marked.append(bool(row.get("heldout")))
        contents.append(hash(tuple((message["role"], message["content"]) for message in row["messages"])))
    measured = choose_heldout(marked, contents, resolved.heldout_rows, seed)
    for index, row in enumerate(rows()):
        example = encode(row, tokenizer, resolved.sequence_length)
        data.cut_rows += example.cut > 0
        data.cut_tokens += example.cut
        if not example.trained_tokens:
            data.unlearnable.append(example.row)
            continue
        if index not in measured and marked[index]:
            continue  # held out by the data, more than are measured on: still never trained on
        examples, prompts = (data.heldout, data.prompts) if index in measured else (data.train, train_prompts)
        examples.append(example)
        if len(prompts) < SAMPLED and (prompt := prompt_of(row["messages"])):
            prompts.append(prompt)
    data.prompts = data.prompts or train_prompts
    if not data.train:
        raise nothing_to_learn(data, resolved.sequence_length)
    return data


def choose_heldout(marked: list[bool], contents: list[int], wanted: int, seed: int) -> set[int]:
    """Which rows are measured on: of those that the data marks as held out, or else of all, at least one being left.

    A row that stands in the data twice is not drawn: its copy would be trained on, and the held-out loss would be a lie.
    """
    own = [index for index, mark in enumerate(marked) if mark]
    if own:
        return set(random.Random(seed).sample(own, min(wanted, len(own))))
    copies = Counter(contents)
    once = [index for index, content in enumerate(contents) if copies[content] == 1]
    return set(random.Random(seed).sample(once, max(0, min(wanted, len(once), len(marked) - 1))))


def encode(row: dict, tokenizer: ChatTokenizer, most: int) -> Example:
    encoded = tokenizer.encode(row["messages"], max_length=most)
    return Example(row["row"], np.asarray(encoded.ids, np.int32), np.asarray(encoded.trained, bool), encoded.cut)


def prompt_of(messages: list[dict]) -> list[dict]:
    """Everything before the first answer."""
    return list(takewhile(lambda message: message["role"] != "assistant", messages))


def nothing_to_learn(data: Data, most: int) -> BadInput:
    if data.unlearnable:
        return BadInput(
            f"None of the {len(data.unlearnable)} rows has an answer within the first {most} tokens, so there is nothing to learn.",
            "Choose a longer sequence length, or look at the coloured preview of the data with this base model.",
        )
    return BadInput(
        "All rows of the data set are held out, so there is nothing to learn.",
        "Choose a smaller held-out share, or other data.",
    )


def batches_of(examples: list[Example], batch_size: int, seed: int, epoch: int) -> list[list[Example]]:
    """One epoch's optimiser batches: shuffled by seed and epoch; the last one may be smaller."""
    order = list(range(len(examples)))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return [
        [examples[index] for index in order[start : start + batch_size]] for start in range(0, len(order), batch_size)
    ]
