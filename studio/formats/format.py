"""What every data format declares, and what each of its rows becomes: a conversation, a document, or a pair of answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Row = dict[str, Any]
Mapped = Mapping[str, str]
"""Part of a row ("prompt", "context", "response", "system", "messages", "text", "chosen", "rejected") → column that holds it."""
Message = dict[str, Any]
"""{"role": "system|user|assistant", "content": text}, and "learn": true or false where the data marks an answer."""
Kind = Literal["conversations", "text", "preference"]
KINDS: dict[Kind, str] = {"conversations": "Conversations", "text": "Raw text", "preference": "Preference pairs"}


class RowFault(Exception):
    """Why one row cannot be used, or what to know about it: a sentence, what to do, and a short kind to count by."""

    def __init__(self, kind: str, problem: str, fix: str, field: str | None = None):
        super().__init__(problem)
        self.kind, self.problem, self.fix, self.field = kind, problem, fix, field


@dataclass
class Conversation:
    """Messages as they are trained on, and what to know about them."""

    messages: list[Message]
    warnings: list[RowFault] = field(default_factory=list)

    @property
    def fields(self) -> Row:
        """As it stands in messages.jsonl."""
        return {"messages": self.messages}

    @property
    def spoken(self) -> list[Message]:
        """Every message in it."""
        return self.messages

    @property
    def letters(self) -> int:
        return letters_of(self.messages)


def letters_of(messages: list[Message]) -> int:
    return sum([len(message["content"]) for message in messages])


@dataclass
class Document:
    """A text to be learned from end to end, and what to know about it."""

    text: str
    warnings: list[RowFault] = field(default_factory=list)

    @property
    def fields(self) -> Row:
        return {"text": self.text}

    @property
    def spoken(self) -> list[Message]:
        return []

    @property
    def letters(self) -> int:
        return len(self.text)


@dataclass
class Pair:
    """A prompt with the answer that is preferred and the one that is not, each as messages, and what to know about them."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    warnings: list[RowFault] = field(default_factory=list)

    @property
    def fields(self) -> Row:
        return {"messages": self.prompt, "chosen": self.chosen, "rejected": self.rejected}

    @property
    def spoken(self) -> list[Message]:
        return [*self.prompt, *self.chosen, *self.rejected]

    @property
    def letters(self) -> int:
        return letters_of(self.spoken)


Found = Conversation | Document | Pair


@dataclass(frozen=True)
class Format:
    name: str
    title: str
    example: str
    """One row of it, as one would write it."""
    fits: Callable[[Row], bool]
    """fits(row): whether a row has the shape of this format, whatever is in its columns."""
    read: Callable[[Row, Mapped], Found]
    """read(row, mapping): what the row holds, not yet checked. Raises RowFault when it holds nothing to learn."""
    mapping: Callable[[list[str]], dict[str, str]]
    """mapping(columns): which column is read for which part."""
    uses: frozenset[str]
    """Columns it may read or knows to be harmless beside the rest, so that none of them is news in a later row."""
    standing: int = 0
    """Among formats that fit equally many rows the highest wins: the more particular one."""
    kind: Kind = "conversations"
    several: Callable[[Row], list[Row]] | None = None
    """several(row): the rows that one row stands for, where a format keeps many together."""
    sign: str = ""
    """What its rows have, in words, where that is no list of columns: "rows have ..."."""
