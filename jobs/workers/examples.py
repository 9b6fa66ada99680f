"""Rows of a data set as token ids and marks: what is trained on, what is held out, and what was cut or left out."""

import hashlib
import importlib.metadata
import inspect
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np

from jobs.workers import token_store
from jobs.workers.packing import Example
from jobs.workers.pairs import Pairs
from jobs.workers.report import Report
from jobs.workers.text_pieces import Pieces
from jobs.workers.token_store import EncodedRow, TokenStore, open_store
from studio import answer_spans, chat_template, heldout, learning, tokens
from studio.errors import BadInput
from studio.files import read_json, sha256_of
from studio.folders import DatasetFolder
from studio.heldout import choose_heldout, content_hash
from studio.learning import Learning, sequences
from studio.resolved_plan import ResolvedPlan
from studio.rows import iter_training_rows
from studio.tokens import TOKENIZER_FILES, ChatTokenizer


class Examples(Sequence[Example]):
    """Some rows of a token store, read from disk one by one; a slice of it is one again."""

    def __init__(self, store: TokenStore | None, places: np.ndarray, most: int):
        """`places`: rows of the store, from 0; `most`: tokens at which each is cut."""
        self.store, self.places, self.most = store, places, most

    @property
    def tokens(self) -> int:
        return int(np.minimum(self.store.lengths[self.places], self.most).sum())

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


MOST_PIECES = 200  # of held-out text that are measured on: more cost time and hardly sharpen the mean
NONE = Examples(None, np.empty(0, np.int64), 0)
READ_AS = {"answers": Examples, "text": Pieces.of, "preference": Pairs}


@dataclass
class Data:
    train: Sequence[Example] = NONE
    heldout: Sequence[Example] = NONE
    train_tokens: int = 0
    heldout_rows: int = 0  # of the data: documents, where pieces of them are measured on
    heldout_tokens: int = 0  # learned ones: what the held-out loss is the mean over
    asked: Sequence[int] = ()  # places of the rows from which prompts to sample are taken
    cut_rows: int = 0  # rows longer than the sequence length
    cut_tokens: int = 0
    unlearnable: list[int] = field(default_factory=list)  # rows that have no answer within the sequence length

    def tell(self, report: Report, most: int) -> None:
        """What is trained on, and everything that is not."""
        what = {Pieces: "pieces of text", Pairs: "pairs of answers"}.get(type(self.train), "rows")
        apart = f"{self.heldout_rows} held out"
        if type(self.train) is Pieces:
            document = "document" if self.heldout_rows == 1 else "documents"
            apart = f"{self.heldout_rows} {document} held out, measured in {len(self.heldout)} pieces"
        report.say(f"{len(self.train)} {what} to train on ({self.train_tokens:,} tokens), {apart}.")
        if self.cut_rows:
            said = f"{self.cut_rows} rows are longer than {most} tokens"
            report.say(f"{said}; {self.cut_tokens:,} tokens were cut from their ends.")
        if self.unlearnable:
            numbers = ", ".join(map(str, self.unlearnable[:10])) + (" ..." if len(self.unlearnable) > 10 else "")
            what = "have no answer" if type(self.train) is not Pairs else "have no two different answers"
            report.say(f"{len(self.unlearnable)} rows {what} within that length and are left out: {numbers}.")
        report.facts |= {
            "cut_rows": self.cut_rows,
            "cut_tokens": self.cut_tokens,
            "unlearnable_rows": len(self.unlearnable),
            "train_rows": len(self.train),
            "heldout_rows": self.heldout_rows,
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
    wanted = Learning(resolved.objective, resolved.answers)

    def rows() -> Iterator[EncodedRow]:
        return (encode(row, tokenizer, wanted) for row in iter_training_rows(folder))

    store = open_store(folder, decides(folder, base, tokenizer, wanted), rows, say, total, wanted.sequences_per_row)
    data = choose(store, resolved, seed)
    if not len(data.train):
        raise nothing_to_learn(data, resolved.sequence_length)
    return data


def decides(folder: DatasetFolder, base: Path, tokenizer: ChatTokenizer, wanted: Learning) -> dict:
    """Everything that the tokens of a data set depend on: the rows, the tokenizer, the template, what is learned, and this program."""
    files = {name: sha256_of(base / name) for name in TOKENIZER_FILES if (base / name).exists()}
    if not folder.messages.exists():
        raise BadInput(
            f"The data set's file {folder.messages.name} is gone from {folder.path}.", "Upload the data again."
        )
    dated = tokenizer.template is not None and "strftime_now" in tokenizer.template
    return {
        "rows": sha256_of(folder.messages),
        "files": files,
        "learned": [wanted.objective, wanted.answers],
        "date": tokenizer.chat.started.date().isoformat() if dated and tokenizer.chat else None,
        "code": code_hash(),
        "libraries": [importlib.metadata.version(name) for name in ("tokenizers", "jinja2")],
    }


def code_hash() -> str:
    """Of the modules that encode: who changes them need not remember to raise a number."""
    sources = (
        inspect.getsource(module) for module in (tokens, answer_spans, chat_template, learning, heldout, token_store)
    )
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def encode(row: dict, tokenizer: ChatTokenizer, wanted: Learning) -> EncodedRow:
    """A row whole, whatever the sequence length. Raises BadInput that names it when it cannot be written."""
    found = [(each.ids, each.trained) for each in sequences(tokenizer, row, wanted)]
    return EncodedRow(row["row"], bool(row.get("heldout")), content_hash(row), found)


def choose(store: TokenStore, resolved: ResolvedPlan, seed: int) -> Data:
    """Which rows are learned from and which are measured on, at the plan's sequence length."""
    most, whole = resolved.sequence_length, resolved.objective == "text"
    learned = (store.learned if whole else store.learned_within(most)).reshape(len(store), store.per_row)
    over = 0 if whole else np.maximum(store.lengths.reshape(learned.shape) - most, 0).sum(axis=1)
    measured = np.zeros(len(store), bool)
    marked, contents = store.heldout, store.contents
    by = None if resolved.split == "content" else seed
    measured[choose_heldout(marked, contents, resolved.heldout_rows, by)] = True
    if by is None:  # a copy of what the data holds out would tell its answer
        marked = marked | np.isin(contents, contents[marked])
    learnable = (learned > 0).all(axis=1)
    if resolved.objective == "preference":
        learnable &= differ_within(store, most)
    heldout = np.flatnonzero(learnable & measured)
    # Held out by the data, more than are measured on: still never trained on
    train = np.flatnonzero(learnable & ~measured & ~marked)
    read = READ_AS[resolved.objective]
    data = Data(train=read(store, train, most), heldout=read(store, heldout, most))
    data.heldout_rows = len(heldout)
    if whole:
        data.heldout = spread(data.heldout)
    data.train_tokens = data.train.tokens
    data.heldout_tokens = sum(piece.trained_tokens for piece in data.heldout) if whole else int(learned[heldout].sum())
    data.cut_rows, data.cut_tokens = int(np.count_nonzero(over)), int(np.sum(over))
    data.unlearnable = store.rows[~learnable].tolist()
    data.asked = heldout if len(heldout) else train
    return data


def spread(pieces: Sequence[Example]) -> Sequence[Example]:
    """At most MOST_PIECES of them, from all over: a single held-out document may be a whole book, and all of it a long measurement."""
    if len(pieces) <= MOST_PIECES:
        return pieces
    return [pieces[int(place)] for place in np.linspace(0, len(pieces) - 1, MOST_PIECES)]


def differ_within(store: TokenStore, most: int) -> np.ndarray:
    """Whether the two sequences of each pair still differ once they are cut: where they do not, neither is preferred."""
    differ = np.ones(len(store), bool)
    for place in np.flatnonzero((store.lengths.reshape(-1, 2) >= most).all(axis=1)):
        chosen, rejected = (store.example(2 * int(place) + side, most) for side in (0, 1))
        differ[place] = not np.array_equal(chosen.ids, rejected.ids)
    return differ


def nothing_to_learn(data: Data, most: int) -> BadInput:
    if data.unlearnable:
        what = "two different answers" if type(data.train) is Pairs else "an answer"
        return BadInput(
            f"None of the {len(data.unlearnable)} rows has {what} within the first {most} tokens, so there is nothing to learn.",
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
