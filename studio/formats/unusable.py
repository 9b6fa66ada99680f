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


def _is_by_columns(row: Row) -> bool:
    """{"prompt": ["a", "b"], "answer": ["c", "d"]}, or with the rows' numbers as names: one object that holds all rows."""
    if len(row) < 2:
        return False
    if all(isinstance(value, dict) and "0" in value for value in row.values()):
        return True
    lists = [value for value in row.values() if isinstance(value, list)]
    texts = sum(bool(value) and all(isinstance(each, str) for each in value[:5]) for value in lists)
    return texts >= 2 and len(lists) == len(row) and len({len(value) for value in lists}) == 1


def _is_list_of_data_sets(row: Row) -> bool:
    known = {"file_name", "hf_hub_url", "ms_hub_url", "script_url", "features", "download_size", "splits"}
    return bool(row) and all(isinstance(value, dict) and known & value.keys() for value in row.values())


def _is_error(row: Row) -> bool:
    said = row.get("error", row.get("message", row.get("detail")))
    return isinstance(said, str) and set(row) <= {"error", "message", "detail", "code", "status", "statusCode", "cause"}


MODEL = "That belongs to a model; bring it on the Models page, and here the rows to train it on."
# In this order: the first that fits nearly all rows gives the reason.
UNUSABLE = [
    Unusable(
        "tokenizer",
        lambda row: _has("model", "added_tokens")(row) or _has("tokenizer_class")(row),
        "This is a tokenizer, not rows.",
        MODEL,
    ),
    Unusable(
        "model",
        lambda row: _has("architectures")(row) or _has("weight_map")(row) or _has("peft_type")(row),
        "These are settings of a model, not rows.",
        MODEL,
    ),
    Unusable(
        "about",
        lambda row: (
            _is_list_of_data_sets(row)
            or (_has("features", "splits")(row) and isinstance(row["features"], dict | list))
            or _has("_data_files")(row)
        ),
        "This file only says which data there is (dataset_info), and holds no rows.",
        "Bring the files that it names.",
    ),
    Unusable(
        "viewer",
        lambda row: (
            isinstance(row.get("rows"), list)
            and any(isinstance(each, dict) and "row_idx" in each for each in row["rows"])
        ),
        "This is an answer of the Hub's data viewer, which holds the first hundred rows at most.",
        "Download the data itself, or import it by its name.",
    ),
    Unusable(
        "notebook",
        _has("cells", "nbformat"),
        "This is a notebook, not rows.",
        "Bring the data that it makes, as JSON Lines or CSV.",
    ),
    Unusable(
        "training",
        _has("log_history"),
        "This is the record of a training (trainer_state), not rows.",
        "Bring the data that was trained on.",
    ),
    Unusable(
        "requests",
        lambda row: _has("custom_id", "body")(row) or _has("custom_id", "response")(row),
        "These are requests to a service, or its answers (a batch file), not rows to learn from.",
        "Write each question with its answer as messages.",
    ),
    Unusable(
        "error",
        _is_error,
        "This is what a server said in place of the data: an error.",
        "Download the data again; for a gated or private set sign in first.",
    ),
    Unusable(
        "by_columns",
        _is_by_columns,
        "All rows stand in one object, with a list for each column.",
        "Write one object for each row (in pandas: orient='records').",
    ),
    Unusable(
        "segments",
        lambda row: (
            isinstance(row.get("segments"), list)
            and any(isinstance(each, dict) and "label" in each for each in row["segments"])
        ),
        "These rows are segments with labels (axolotl's input_output), written for one template.",
        'Write them as messages; mark an answer that is not to be learned with "train": false.',
    ),
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
        "tokenised",
        lambda row: "input_ids" in row or isinstance(row.get("tokens"), list) and "text" not in row,
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
        lambda row: _has("message_id", "parent_id", "text")(row) and not isinstance(row.get("replies"), list),
        "Each row is one message of a tree (OpenAssistant), and its conversation is spread over many rows.",
        "Bring the file of whole trees, in which each row has its replies.",
    ),
    Unusable(
        "questions",
        lambda row: (
            isinstance(row.get("turns"), list)
            and all(isinstance(said, str) for said in row["turns"])
            and not any(name in row for name in ("answer", "response", "output", "completion", "choices"))
        ),
        "These are questions without answers, as benchmarks have them, so there is nothing to learn.",
        "Bring them on the Suites page, to ask a model with; or bring data with answers.",
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
