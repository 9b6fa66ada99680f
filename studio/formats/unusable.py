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


def _is_ranking(row: Row) -> bool:
    """Several answers to a prompt with scores, or two with a verdict in a column of its own."""
    several = any(
        isinstance(row.get(name), list) and len(row[name]) > 1 and isinstance(row[name][0], dict | str)
        for name in ("completions", "responses", "candidates", "answers")
    )
    scored = any(name in row for name in ("scores", "ranks", "rank", "rankings")) or any(
        isinstance(row.get(name), list) and any(isinstance(one, dict) and set(one) & SCORES for one in row[name])
        for name in ("completions", "responses", "candidates")
    )
    verdict = any(name in row for name in ("winner", "better_response_id", "preference", "chosen_idx"))
    two = any(_has(*names)(row) for names in TWO_ANSWERS)
    return (several and scored) or (two and verdict)


SCORES = {"score", "scores", "rating", "ratings", "overall_score", "rank", "reward"}
TWO_ANSWERS = (
    ("response_0", "response_1"),
    ("response_a", "response_b"),
    ("response1", "response2"),
    ("answer_a", "answer_b"),
    ("completion_a", "completion_b"),
    ("conversation_a", "conversation_b"),
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
        "ranking",
        _is_ranking,
        "These are several answers to each prompt with scores, ranks or a verdict beside them.",
        "Write for each prompt the better answer as 'chosen' and the worse as 'rejected'.",
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
]


def reason_against(rows: list[Row]) -> Unusable | None:
    """The first unusable shape that at least nine of ten of these rows have."""
    return next((shape for shape in UNUSABLE if rows and sum(map(shape.fits, rows)) >= 0.9 * len(rows)), None)
