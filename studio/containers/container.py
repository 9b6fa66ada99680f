"""What every container gives: rows with their number and line, each a dict of columns or the fault that keeps it from being one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from studio.formats.format import RowFault

ROW_BYTES = 1 << 20
"""A larger row is refused: no base model could take it in, and a broken file looks just like it."""
SPEAKERS = {"role", "from"}
"""Of a message: who says it."""


@dataclass(slots=True)
class SourceRow:
    number: int  # from 1
    line: int | None  # where it starts in the file; None in Parquet
    value: dict[str, Any] | None
    fault: RowFault | None = None  # why there is no value


@dataclass
class Container:
    kind: Literal["json", "jsonl", "csv", "parquet", "arrow", "qna", "text"]
    rows: Iterator[SourceRow]
    """Read once, in order. Raises BadInput where nothing after that place can be read."""
    bytes_read: Callable[[], int | None] = lambda: None
    """So far, of what the file holds; None where that is not told."""
    encoding: str | None = None
    delimiter: str | None = None
    packed: str | None = None  # "gzip", "xz", ...
    columns: list[str] = field(default_factory=list)  # known before the first row in tables and Parquet
    warnings: list[RowFault] = field(default_factory=list)  # about the file as a whole


def too_large(text: str) -> bool:
    return len(text) > ROW_BYTES or (
        4 * len(text) > ROW_BYTES and len(text.encode("utf-8", "surrogatepass")) > ROW_BYTES
    )


def large_row() -> RowFault:
    return RowFault(
        "large",
        "The row is larger than 1 MB.",
        "Split it, or drop it; if rows are not that long, a closing quote or bracket is missing.",
    )


def as_row(number: int, line: int | None, value: Any) -> SourceRow:
    """A JSON value as a row. What is not an object has no columns, so it is none."""
    if type(value) is dict and value:
        return SourceRow(number, line, value)
    if isinstance(value, list) and value and all(isinstance(each, dict) and SPEAKERS & each.keys() for each in value):
        value = {"messages": value}  # a conversation without a name
    if isinstance(value, dict):
        if value:
            return SourceRow(number, line, value)
        return SourceRow(
            number, line, None, RowFault("empty", "The row is an empty object.", "Fill it in, or drop it.")
        )
    name = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
    return SourceRow(
        number,
        line,
        None,
        RowFault(
            "shape", f"The row is {name}, not an object with columns.", 'Write each row as {"column": value, ...}.'
        ),
    )
