"""Rows of a data set as token ids and marks: what is trained on, what is held out, and what was cut or left out."""

import hashlib
import importlib.metadata
import inspect
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import overload

import numpy as np

from jobs.workers import token_store
from jobs.workers.packing import Example
from jobs.workers.report import Report
from jobs.workers.token_store import EncodedRow, TokenStore, content_hash, open_store
from studio import answer_spans, chat_template, tokens
from studio.errors import BadInput
from studio.folders import DatasetFolder, read_json, sha256_of
from studio.resolved_plan import ResolvedPlan
from studio.rows import iter_training_rows, read_rows
from studio.tokens import TOKENIZER_FILES, ChatTokenizer

SAMPLED = 3  # prompts answered at each evaluation when the person pinned none
LOOKED_AT = 100  # rows in which prompts to sample are looked for


class Examples(Sequence[Example]):
    """Some rows of a token store, read from disk one by one; a slice of it is one again."""

    def __init__(self, store: TokenStore | None, places: np.ndarray, most: int):
        """`places`: rows of the store, from 0; `most`: tokens at which each is cut."""
        self.store, self.places, self.most = store, places, most

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, wanted: int) -> Example: ...
    @overload
    def __getitem__(self, wanted: slice) -> "Examples": ...
    def __getitem__(self, wanted):
        if isinstance(wanted, slice):
            return Examples(self.store, self.places[wanted], self.most)
        return self.store.example(int(self.places[wanted]), self.most)


NONE = Examples(None, np.empty(0, np.int64), 0)


@dataclass
class Data:
    train: Sequence[Example] = NONE
    heldout: Sequence[Example] = NONE
    train_tokens: int = 0
    heldout_tokens: int = 0  # learned ones: what the held-out loss is the mean over
    prompts: list[list[dict]] = field(default_factory=list)  # messages before the answer, of the first held-out rows
    cut_rows: int = 0  # rows longer than the sequence length
    cut_tokens: int = 0
    unlearnable: list[int] = field(default_factory=list)  # rows that have no answer within the sequence length

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
    folder: DatasetFolder,
    base: Path,
    tokenizer: ChatTokenizer,
    resolved: ResolvedPlan,
    seed: int,
    say: Callable[[str], None] = print,
) -> Data:
    """Every row encoded, the held-out ones apart. `base` is the base model's folder, from which the tokenizer comes.

    Raises BadInput when nothing is left to learn from, and with the row's number when one cannot be written.
    """
    total = (read_json(folder.index) or {}).get("rows")

    def rows() -> Iterator[EncodedRow]:
        return (encode(row, tokenizer) for row in iter_training_rows(folder))

    store = open_store(folder, decides(folder, base, tokenizer), rows, say, total)
    data = choose(store, resolved, seed)
    if not data.train:
        raise nothing_to_learn(data, resolved.sequence_length)
    data.prompts = prompts_of(folder, data.heldout.places) or prompts_of(folder, data.train.places)
    return data


def decides(folder: DatasetFolder, base: Path, tokenizer: ChatTokenizer) -> dict:
    """Everything that the tokens of a data set depend on: the rows, the tokenizer, the template, and this program."""
    files = {name: sha256_of(base / name) for name in TOKENIZER_FILES if (base / name).exists()}
    if not folder.messages.exists():
        raise BadInput(
            f"The data set's file {folder.messages.name} is gone from {folder.path}.", "Upload the data again."
        )
    dated = tokenizer.template is not None and "strftime_now" in tokenizer.template
    return {
        "rows": sha256_of(folder.messages),
        "files": files,
        "date": tokenizer.chat.started.date().isoformat() if dated and tokenizer.chat else None,
        "code": code_hash(),
        "libraries": [importlib.metadata.version(name) for name in ("tokenizers", "jinja2")],
    }


def code_hash() -> str:
    """Of the modules that encode: who changes them need not remember to raise a number."""
    sources = (inspect.getsource(module) for module in (tokens, answer_spans, chat_template, token_store))
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def encode(row: dict, tokenizer: ChatTokenizer) -> EncodedRow:
    try:
        encoded = tokenizer.encode(row["messages"])
    except BadInput as error:
        raise BadInput(f"Row {row['row']}: {error.problem}", error.fix) from None
    content = content_hash(row["messages"])
    return EncodedRow(row["row"], bool(row.get("heldout")), content, [(encoded.ids, encoded.trained)])


def choose(store: TokenStore, resolved: ResolvedPlan, seed: int) -> Data:
    """Which rows are learned from and which are measured on, at the plan's sequence length."""
    most = resolved.sequence_length
    lengths, learned = store.lengths, store.learned_within(most)
    measured = np.zeros(len(store), bool)
    measured[choose_heldout(store.heldout, store.contents, resolved.heldout_rows, seed)] = True
    learnable = learned > 0
    heldout = np.flatnonzero(learnable & measured)
    # Held out by the data, more than are measured on: still never trained on
    train = np.flatnonzero(learnable & ~measured & ~store.heldout)
    return Data(
        train=Examples(store, train, most),
        heldout=Examples(store, heldout, most),
        train_tokens=int(np.minimum(lengths[train], most).sum()),
        heldout_tokens=int(learned[heldout].sum()),
        cut_rows=int((lengths > most).sum()),
        cut_tokens=int(np.maximum(lengths - most, 0).sum()),
        unlearnable=store.rows[~learnable].tolist(),
    )


def choose_heldout(marked: Sequence[bool], contents: Sequence[int], wanted: int, seed: int) -> list[int]:
    """Which rows are measured on: of those that the data marks as held out, or else of all, at least one being left.

    A row that stands in the data twice is not drawn: its copy would be trained on, and the held-out loss would be a lie.
    """
    draw = random.Random(seed)
    own = np.flatnonzero(np.asarray(marked, bool))
    if len(own):
        return own[draw.sample(range(len(own)), min(wanted, len(own)))].tolist()
    _, kind, copies = np.unique(np.asarray(contents, np.uint64), return_inverse=True, return_counts=True)
    once = np.flatnonzero(copies[kind] == 1)
    return once[draw.sample(range(len(once)), max(0, min(wanted, len(once), len(marked) - 1)))].tolist()


def prompts_of(folder: DatasetFolder, places: Sequence[int]) -> list[list[dict]]:
    """The first few prompts of these rows."""
    rows = (read_rows(folder, int(place), 1) for place in places[:LOOKED_AT])
    found = (prompt_of(row["messages"]) for each in rows for row in each)
    return [prompt for _, prompt in zip(range(SAMPLED), filter(None, found), strict=False)]


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


class Batches:
    """One epoch's optimiser batches: shuffled by seed and epoch, read when they are asked for; the last one may be smaller."""

    def __init__(self, examples: Sequence[Example], batch_size: int, seed: int, epoch: int):
        self.examples, self.size = examples, batch_size
        self.order = array("q", range(len(examples)))  # 8 bytes a row
        random.Random(f"{seed}/{epoch}").shuffle(self.order)

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, index: int) -> list[Example]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return [self.examples[place] for place in self.order[index * self.size : (index + 1) * self.size]]

    def __iter__(self) -> Iterator[list[Example]]:
        return (self[index] for index in range(len(self)))
