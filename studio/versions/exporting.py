"""A version as a file that other programs read: JSON Lines in each format that the studio writes, or CSV for a spreadsheet."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.containers.escaped_cells import ESCAPED, escaped
from studio.dataset_report import Report
from studio.errors import Invalid, clip
from studio.formats import KINDS, Kind
from studio.learning import Row
from studio.records import Dataset, DatasetVersion
from studio.rows import iter_training_rows
from studio.studio import Studio
from studio.versions.lineage import folder_of, report_on

CHUNK = 1 << 16  # characters that are sent together


@dataclass(frozen=True)
class Written:
    """One way to write rows of a kind."""

    title: str
    kind: Kind
    row: Callable[[Row], dict[str, Any]]
    ending: str = "jsonl"
    one_turn: bool = False
    """Whether it can hold one question and one answer only."""
    marks: bool = False
    """Whether it can say which answers are to be learned."""


def _messages(row: Row) -> dict[str, Any]:
    return {"messages": [_message(message, "role", "content", weight=True) for message in row["messages"]]}


def _sharegpt(row: Row) -> dict[str, Any]:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    said = [{**message, "role": names[message["role"]]} for message in row["messages"]]
    return {"conversations": [_message(message, "from", "value") for message in said]}


def _message(message: dict[str, Any], role: str, content: str, weight: bool = False) -> dict[str, Any]:
    written = {role: message["role"], content: message["content"]}
    if "learn" not in message:
        return written
    return {**written, "weight": int(message["learn"])} if weight else {**written, "train": message["learn"]}


def _turns(row: Row) -> tuple[str | None, list[tuple[str, str]]]:
    """(system message, [(question, answer)])."""
    system, *_ = [each["content"] for each in row["messages"] if each["role"] == "system"] or [None]
    said = [each["content"] for each in row["messages"] if each["role"] != "system"]
    return system, list(zip(said[::2], said[1::2], strict=True))


def _alpaca(row: Row) -> dict[str, Any]:
    system, (*earlier, last) = _turns(row)
    return {
        **({"system": system} if system is not None else {}),
        "instruction": last[0],
        "input": "",
        "output": last[1],
        **({"history": [list(turn) for turn in earlier]} if earlier else {}),
    }


def _prompt_completion(row: Row) -> dict[str, Any]:
    *before, answer = row["messages"]
    if len(before) == 1:
        return {"prompt": before[0]["content"], "completion": answer["content"]}
    return {"prompt": [_message(each, "role", "content") for each in before], "completion": [answer]}


def _question_answer(row: Row) -> dict[str, Any]:
    system, ((question, answer),) = _turns(row)
    return {**({"system": system} if system is not None else {}), "question": question, "answer": answer}


def _kto(row: Row) -> dict[str, Any]:
    *before, answer = (_message(each, "role", "content") for each in row["messages"])
    return {"prompt": before, "completion": [answer], "label": True}


def _openai_pair(row: Row) -> dict[str, Any]:
    names = {"input": {"messages": row["messages"]}, "preferred_output": row["chosen"]}
    return {**names, "non_preferred_output": row["rejected"]}


def _pair(row: Row) -> dict[str, Any]:
    return {"prompt": row["messages"], "chosen": row["chosen"], "rejected": row["rejected"]}


def _table(row: Row) -> dict[str, Any]:
    system, ((question, answer),) = _turns(row)
    return {"system": system or "", "prompt": question, "response": answer}


def _table_of_pairs(row: Row) -> dict[str, Any]:
    def cell(messages: Sequence[dict]) -> str:
        alone = len(messages) == 1
        return messages[0]["content"] if alone else json.dumps(messages, ensure_ascii=False)

    return {"prompt": cell(row["messages"]), "chosen": cell(row["chosen"]), "rejected": cell(row["rejected"])}


WAYS: dict[str, Written] = {
    "messages": Written("Messages (OpenAI)", "conversations", _messages, marks=True),
    "sharegpt": Written("ShareGPT", "conversations", _sharegpt, marks=True),
    "alpaca": Written("Alpaca", "conversations", _alpaca),
    "prompt_completion": Written("Prompt and completion", "conversations", _prompt_completion),
    "question_answer": Written("Question and answer", "conversations", _question_answer, one_turn=True),
    "kto": Written("Answers with a verdict (KTO)", "conversations", _kto),
    "preference": Written("Preference pairs", "preference", _pair),
    "preference_openai": Written("Preference pairs (OpenAI)", "preference", _openai_pair),
    "text": Written("Raw text", "text", lambda row: {"text": row["text"]}),
    "csv": Written("CSV", "conversations", _table, "csv", one_turn=True),
    "csv_preference": Written("CSV", "preference", _table_of_pairs, "csv"),
    "csv_text": Written("CSV", "text", lambda row: {"text": row["text"]}, "csv"),
}
USUAL: dict[Kind, str] = {"conversations": "messages", "preference": "preference", "text": "text"}


def ways_for(kind: Kind) -> dict[str, str]:
    """(name → title) of the formats that data of a kind can be written in."""
    return {"csv" if way.ending == "csv" else name: way.title for name, way in WAYS.items() if way.kind == kind}


def way_for(dataset: Dataset, report: Report, name: str | None) -> Written:
    """The format of this name. Raises Invalid where it cannot hold what the version holds."""
    name = name or USUAL[dataset.kind]
    way = WAYS.get(name if name != "csv" or dataset.kind == "conversations" else f"csv_{dataset.kind}")
    if way is None or way.kind != dataset.kind:
        raise Invalid(
            f"Data of the kind '{KINDS[dataset.kind]}' cannot be written as '{clip(name, 40)}'.",
            f"Choose one of: {', '.join(ways_for(dataset.kind))}.",
            "format",
        )
    if way.one_turn and report.multi_turn_rows:
        raise Invalid(
            f"{report.multi_turn_rows:,} rows have several questions, and a {way.title} row holds one.",
            "Choose messages or sharegpt.",
            "format",
        )
    if report.marked_rows and not way.marks:
        raise Invalid(
            f"{report.marked_rows:,} rows mark which answers are to be learned, and {way.title} cannot say that.",
            "Choose messages or sharegpt.",
            "format",
        )
    return way


def export(
    studio: Studio, dataset: Dataset, version: DatasetVersion, format: str | None
) -> tuple[Written, Iterator[str]]:
    """How the version is written, and its text in pieces, made while it is sent. Raises Invalid before the first of them."""
    way = way_for(dataset, report_on(studio, version), format)
    rows = iter_training_rows(folder_of(studio, version))
    held = version.heldout_rows > 0
    values = ({**way.row(row), **({"heldout": row["heldout"]} if held else {})} for row in rows)
    return way, gathered(as_csv(values) if way.ending == "csv" else as_lines(values))


def as_lines(values: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def as_csv(values: Iterator[dict[str, Any]]) -> Iterator[str]:
    """With a heading. What a spreadsheet would compute is made text by an apostrophe; the last column names the cells that have one,
    and so they come back as they were."""
    beginning = True
    for value in values:
        line = io.StringIO()
        writer = csv.writer(line)
        cells = {name: str(each).lower() if isinstance(each, bool) else str(each) for name, each in value.items()}
        if beginning:
            writer.writerow([*cells, ESCAPED])
        writer.writerow(escaped(cells))
        beginning = False
        yield line.getvalue()


def gathered(pieces: Iterator[str]) -> Iterator[str]:
    """The same text in pieces of about CHUNK characters: one for each row would cost more than the rows."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > CHUNK:
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)


def slug(name: str) -> str:
    """A data set's name as the name of a file."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:60] or "data"
