"""Data sets: list, look into, rename, delete; and how their rows look to one base model, token by token."""

import hashlib
import random
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from studio.builtin_datasets import add_builtins, builtin_example_prompts
from studio.dataset_report import Report, TokenStats
from studio.dataset_uploads import add_upload, dataset_name, inspect_upload
from studio.errors import Conflict, Invalid, NotFound
from studio.files import read_json, write_json
from studio.folders import DatasetFolder
from studio.formats import FORMATS, KINDS
from studio.heldout import content_hash
from studio.learning import Learning, learning_from, sequences
from studio.listing import LIMIT, Listing, listing
from studio.records import OPEN, Dataset, Run
from studio.rows import longest_rows, read_rows, read_sample
from studio.studio import Studio
from studio.token_view import Token, tokens_in
from studio.tokens import ChatTokenizer, Encoded, Piece, pieces
from studio.training_settings import TrainingSettings
from studio.versions.lineage import folder_of, get_version, report_on

if TYPE_CHECKING:
    from studio.records import BaseModel

__all__ = [
    "FORMATS",
    "PreviewRow",
    "add_builtins",
    "add_upload",
    "builtin_example_prompts",
    "clear_incoming",
    "count_tokens",
    "delete_dataset",
    "get_dataset",
    "inspect_upload",
    "learning_for",
    "list_datasets",
    "preview",
    "read_rows",
    "rename_dataset",
    "report_of",
    "shown",
    "token_stats",
]

EXACT_ROWS = 20_000
"""Up to so many rows every one is counted; of larger sets a sample of this size is."""
LONGEST = 20  # rows with most bytes that are counted beside the sample
BARS = 24
COUNTED = 3  # raised with what is counted, so that what was remembered before is counted anew


def list_datasets(studio: Studio, q: str = "", limit: int = LIMIT, cursor: str | None = None) -> Listing[Dataset]:
    """Newest first; q is looked for in names and file names."""
    query = select(Dataset).order_by(Dataset.created_at.desc(), Dataset.id)
    if q:
        query = query.where(
            Dataset.name.icontains(q, autoescape=True) | Dataset.file_name.icontains(q, autoescape=True)
        )
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def get_dataset(studio: Studio, id: str) -> Dataset:
    with studio.database.read() as session:
        found = session.get(Dataset, id)
    if found is None:
        raise NotFound("data set", id)
    return found


def report_of(studio: Studio, id: str, version: int | None = None) -> Report:
    """What was found when a version of the data set was read, the newest where none is named."""
    return report_on(studio, get_version(studio, id, version))


def rename_dataset(studio: Studio, id: str, name: str) -> Dataset:
    cleaned = dataset_name(name)
    if not cleaned:
        raise Invalid("A data set needs a name.", "Give it at least one letter.", "name")
    with studio.database.write() as session:
        found = session.get(Dataset, id)
        if found is None:
            raise NotFound("data set", id)
        found.name = cleaned
    return found


def delete_dataset(studio: Studio, id: str) -> None:
    """Raises Conflict while runs need it: open ones to train, ended ones to show what they learned from."""
    with studio.database.write() as session:
        found = session.get(Dataset, id)
        if found is None:
            raise NotFound("data set", id)
        if found.source == "builtin":
            raise Conflict(
                f"'{found.name}' comes with the studio and would be back at the next start.",
                "Leave it; it takes little space.",
            )
        counted = select(Run.state, func.count()).where(Run.dataset == id).group_by(Run.state)
        uses = {state: count for state, count in session.execute(counted)}  # noqa: C416 its rows are no pairs to dict()
        still_open = sum(count for state, count in uses.items() if state in OPEN)
        if still_open:
            raise Conflict(
                f"{still_open} open {'run learns' if still_open == 1 else 'runs learn'} from '{found.name}'.",
                "Wait for them to end, or cancel them first.",
            )
        if uses:
            raise Conflict(
                f"{sum(uses.values())} ended {'run has' if sum(uses.values()) == 1 else 'runs have'} learned from '{found.name}'.",
                "Delete what has learned from it first.",
            )
        session.delete(found)
    # The record is gone first: a crash here leaves a folder that nobody sees, never a data set without its rows.
    shutil.rmtree(studio.data.dataset(id).path, ignore_errors=True)


def shown(dataset: Dataset) -> dict:
    """The API's view."""
    title = FORMATS[dataset.format].title if dataset.format in FORMATS else dataset.format
    return {
        "id": dataset.id, "name": dataset.name, "source": dataset.source, "builtin_id": dataset.builtin_id, "file_name": dataset.file_name,
        "format": dataset.format, "format_title": title, "kind": dataset.kind, "kind_title": KINDS.get(dataset.kind, dataset.kind), "rows": dataset.rows, "heldout_rows": dataset.heldout_rows,
        "dropped_rows": dataset.dropped_rows, "size_bytes": dataset.size_bytes, "sha256": dataset.sha256, "version": dataset.version, "created_at": dataset.created_at.isoformat(),
    }  # fmt: skip


@dataclass(frozen=True)
class PreviewRow:
    """One row as the trainer reads it: pieces of text, each trained or only read. Of a pair, the chosen answer's sequence."""

    row: int
    heldout: bool
    tokens: int
    trained_tokens: int
    cut_tokens: int
    pieces: list[Piece]
    rejected: list[Piece] | None = None
    """Of a pair: the sequence with the rejected answer. The counts are those of both."""
    tokens_in: list[list[Token]] = field(default_factory=list)
    """Of each sequence every token with its id, where that was asked for."""

    def as_dict(self) -> dict:
        return asdict(self)


def preview(
    studio: Studio,
    dataset_id: str,
    base_model_id: str,
    start: int = 0,
    count: int = 1,
    sequence_length: int | None = None,
    learning: Learning | None = None,
    version: int | None = None,
    each_token: bool = False,
) -> list[PreviewRow]:
    """Rows from the one at `start` (counted from 0) in tokens of a base model, as the trainer will see them.

    A text is shown whole, whatever the length of its pieces. Without `learning` it is what a training with default settings learns.
    """
    found = get_version(studio, dataset_id, version)
    learning = learning or learning_for(studio, dataset_id, version=version)
    tokenizer, _ = _tokenizer(studio, base_model_id)
    length = None if learning.objective == "text" else sequence_length
    rows = read_rows(folder_of(studio, found), start, min(count, 50))
    return [_preview_row(tokenizer, row, learning, length, each_token) for row in rows]


def _preview_row(
    tokenizer: ChatTokenizer, row: dict, learning: Learning, length: int | None, each_token: bool
) -> PreviewRow:
    found = sequences(tokenizer, row, learning, length)
    tokens, trained = sum(len(each.ids) for each in found), sum(each.trained_tokens for each in found)
    first, *rejected = (pieces(tokenizer, each) for each in found)
    cut = sum(each.cut for each in found)
    shown = (
        [tokens_in(tokenizer, one, said) for one, said in zip(found, texts_of(row), strict=False)] if each_token else []
    )
    return PreviewRow(
        row["row"], row["heldout"], tokens, trained, cut, first, rejected[0] if rejected else None, tokens_in=shown
    )


def texts_of(row: dict) -> list[list[str]]:
    """What somebody wrote of each sequence of a row: its messages, of a pair with either answer, or its document."""
    if "text" in row:
        return [[row["text"]]]
    sides = [row[side] for side in ("chosen", "rejected") if side in row] or [[]]
    return [[message["content"] for message in (*row["messages"], *answer)] for answer in sides]


def learning_for(
    studio: Studio, id: str, settings: TrainingSettings = TrainingSettings(), version: int | None = None
) -> Learning:
    """What a training with these settings learns from a data set. Raises Invalid where it cannot."""
    return learning_from(settings, get_dataset(studio, id).kind, report_of(studio, id, version).marked_rows)


def _tokenizer(studio: Studio, base_model_id: str) -> tuple[ChatTokenizer, "BaseModel"]:
    from studio import base_models

    model = base_models.ready_model(studio, base_model_id)
    return ChatTokenizer.load(studio.data.base_model(model.id).model), model


def token_stats(
    studio: Studio,
    dataset_id: str,
    base_model_id: str,
    learning: Learning | None = None,
    version: int | None = None,
) -> TokenStats:
    """Lengths of the rows in tokens of a base model. Counted once for each tokenizer, template and choice of what is learned,
    then remembered on disk."""
    found = get_version(studio, dataset_id, version)
    learning = learning or learning_for(studio, dataset_id, version=version)
    folder = folder_of(studio, found)
    tokenizer, model = _tokenizer(studio, base_model_id)
    decides = f"{COUNTED}\0{model.fingerprint}\0{tokenizer.template}\0{learning.objective}\0{learning.answers}"
    key = hashlib.sha256(decides.encode()).hexdigest()[:16]
    remembered = read_json(folder.tokens(key))
    if remembered:
        return TokenStats.model_validate(remembered)
    stats = count_tokens(folder, found.rows, found.heldout_rows, tokenizer, learning)
    write_json(folder.tokens(key), stats.as_dict())
    return stats


def count_tokens(
    folder: DatasetFolder,
    rows: int,
    heldout_rows: int,
    tokenizer: ChatTokenizer,
    learning: Learning = Learning(),
    most: int = EXACT_ROWS,
) -> TokenStats:
    """Count all rows; or of more than `most` a random sample, the same at every call, with totals scaled up.

    The rows with most bytes are counted in any case, so that `longest` is seldom too small.
    """
    sample = set(random.Random(0).sample(range(rows), most)) if rows > most else set(range(rows))
    longest = set(longest_rows(folder, LONGEST)) if rows > most else set()
    lengths: list[int] = []
    trained: list[int] = []
    beyond = 0
    learned_from: list[int] = []
    held_out: list[int] = []
    contents: Counter[int] = Counter()
    for place, row in read_sample(folder, sample | longest):
        found = sequences(tokenizer, row, learning)
        beyond = max(beyond, *(len(each.ids) for each in found))
        if place in sample:
            if row["heldout"]:
                held_out.append(len(lengths) // len(found))
            contents[content_hash(row)] += 1
            learned_from += first_learned(found)
            lengths += [len(each.ids) for each in found]
            trained += [each.trained_tokens for each in found]
    scale, ordered = rows * learning.sequences_per_row / len(lengths), sorted(lengths)
    return TokenStats(
        rows=rows, heldout_rows=heldout_rows, total_tokens=round(sum(lengths) * scale), trained_tokens=round(sum(trained) * scale),
        shortest=ordered[0], median=ordered[len(ordered) // 2], p95=ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], longest=beyond,
        histogram=histogram(ordered), sampled=rows > most, lengths=lengths, trained=trained,
        objective=learning.objective, answers=learning.answers, sequences_per_row=learning.sequences_per_row,
        learned_from=learned_from, held_out=held_out, once=None if rows > most else sum(count == 1 for count in contents.values()),
    )  # fmt: skip


def first_learned(found: list[Encoded]) -> list[int]:
    """TokenStats.learned_from of a row's sequences."""
    first = [next((place for place, trained in enumerate(each.trained) if trained and place), 0) for each in found]
    if len(found) == 1 or not all(first):
        return first
    chosen, rejected = (each.ids for each in found)
    same = next((place for place, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other), None)
    differ = min(len(chosen), len(rejected)) if same is None else same
    return [max(each, differ) for each in first]


def histogram(ordered: list[int]) -> list[tuple[int, int]]:
    """(upper bound, how many up to it and above the last) in equal steps of a round number of tokens."""
    step = max(1, -(-ordered[-1] // BARS))
    unit = 10 ** max(0, len(str(step)) - 2)
    step = -(-step // unit) * unit
    counts = [0] * (-(-ordered[-1] // step))
    for length in ordered:
        counts[max(0, -(-length // step) - 1)] += 1
    return [((number + 1) * step, count) for number, count in enumerate(counts)]


def clear_incoming(studio: Studio) -> None:
    """At a start: uploads that an earlier web process left half-way."""
    for path in studio.data.incoming.iterdir():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
