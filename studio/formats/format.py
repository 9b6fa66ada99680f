"""What every data format declares, and the conversation that each of its rows becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Mapped = Mapping[str, str]
"""Part of a conversation ("prompt", "context", "response", "system", "messages") → column that holds it."""


class RowFault(Exception):
    """Why one row cannot be used, or what to know about it: a sentence, what to do, and a short kind to count by."""

    def __init__(self, kind: str, problem: str, fix: str, field: str | None = None):
        super().__init__(problem)
        self.kind, self.problem, self.fix, self.field = kind, problem, fix, field


@dataclass
class Conversation:
    """Messages as they are trained on, each {"role": "system|user|assistant", "content": text}, and what to know about them."""

    messages: list[dict[str, str]]
    warnings: list[RowFault] = field(default_factory=list)


@dataclass(frozen=True)
class Format:
    name: str
    title: str
    example: str
    """One row of it, as one would write it."""
    fits: Callable[[Row], bool]
    """fits(row): whether a row has the shape of this format, whatever is in its columns."""
    read: Callable[[Row, Mapped], Conversation]
    """read(row, mapping): the row's conversation, not yet checked. Raises RowFault when the row has none."""
    mapping: Callable[[list[str]], dict[str, str]]
    """mapping(columns): which column is read for which part."""
    uses: frozenset[str]
    """Columns it may read or knows to be harmless beside the rest, so that none of them is news in a later row."""
    standing: int = 0
    """Among formats that fit equally many rows the highest wins: the more particular one."""
