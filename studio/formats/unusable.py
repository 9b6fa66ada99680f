"""Shapes of data that are known and cannot be learned from as they are, each with the sentence that says why."""

from collections.abc import Callable
from dataclasses import dataclass

from studio.formats.conversation import PICTURES
from studio.formats.format import Row


@dataclass(frozen=True)
class Unusable:
    name: str
    fits: Callable[[Row], bool]
    problem: str
    fix: str


def _has(*columns: str) -> Callable[[Row], bool]:
    return lambda row: all(column in row for column in columns)


def _is_preference(row: Row) -> bool:
    return (
        _has("chosen", "rejected")(row)
        or _has("chosen_messages", "rejected_messages")(row)
        or _has("response_j", "response_k")(row)
    )


def _is_raw_text(row: Row) -> bool:
    return (
        isinstance(row.get("text"), str)
        and not any(isinstance(value, list | dict) for value in row.values())
        and len(row) <= 4
        and not _has_answer(row)
    )


def _has_answer(row: Row) -> bool:
    return any(
        name in row
        for name in ("response", "completion", "answer", "output", "label", "prompt", "question", "instruction")
    )


def _is_wrapped(row: Row) -> bool:
    """{"data": [{...}, ...]}: the rows are one level further in."""
    lists = [
        row[name]
        for name in ("data", "rows", "train", "examples", "items", "dataset")
        if isinstance(row.get(name), list)
    ]
    return any(rows and isinstance(rows[0], dict) for rows in lists)


# In this order: the first that fits nearly all rows gives the reason.
UNUSABLE = [
    Unusable(
        "wrapped",
        _is_wrapped,
        'The rows stand inside an object around them, such as {"data": [ ... ]}.',
        "Put the list of rows into a file of its own.",
    ),
    Unusable(
        "preference",
        _is_preference,
        "These are preference pairs (a chosen and a rejected answer), and this training learns from one right answer.",
        "Keep the chosen answer only, or map its column to the response.",
    ),
    Unusable(
        "kto",
        lambda row: (
            isinstance(row.get("label"), bool)
            and any(name in row for name in ("messages", "conversations", "completion"))
        ),
        "These are answers with a verdict (KTO: label true or false), and this training would learn the bad ones too.",
        "Keep the rows with the label true, and take the column 'label' out.",
    ),
    Unusable(
        "tokenised",
        _has("input_ids"),
        "These rows are token numbers of some model (input_ids), not text.",
        "Bring the text that they were made from.",
    ),
    Unusable(
        "pictures",
        lambda row: any(row.get(name) for name in PICTURES),
        "These rows come with pictures, sounds or films, and the studio trains on text.",
        "Take the rows out that need them, and the column with them.",
    ),
    Unusable(
        "tree",
        lambda row: _has("message_tree_id", "prompt")(row) or (_has("message_id", "parent_id")(row) and "text" in row),
        "These are trees of alternative messages (OpenAssistant), not conversations.",
        "Choose one path through each tree and write it as messages.",
    ),
    Unusable(
        "bare",
        lambda row: (
            set(row) <= {"role", "content", "from", "value", "name", "weight"} and ("role" in row or "from" in row)
        ),
        "Each row is a single message, so it is not clear which belong together.",
        'Put the messages of each conversation into one row: {"messages": [ ... ]}.',
    ),
    Unusable(
        "text",
        _is_raw_text,
        "These rows are plain text without a question and an answer.",
        "Write rows with a prompt and a response; or map two columns.",
    ),
]


def reason_against(rows: list[Row]) -> Unusable | None:
    """The first unusable shape that at least nine of ten of these rows have."""
    return next((shape for shape in UNUSABLE if rows and sum(map(shape.fits, rows)) >= 0.9 * len(rows)), None)
