"""Rows with a question in one column and its answer in another: what alpaca, prompt/completion and question/answer share."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from studio.errors import clip
from studio.formats.conversation import is_filled, list_in, read_messages, text_of
from studio.formats.format import Conversation, Format, Mapped, Row, RowFault

Names = tuple[str, ...]


@dataclass(frozen=True)
class Fields:
    """Column names by part, the usual one first."""

    prompt: Names
    response: Names
    context: Names = ()  # put below the prompt, or above it with context_first
    system: Names = ("system", "system_prompt")
    history: Names = ("history",)  # earlier [question, answer] pairs
    context_first: bool = False

    def fits(self, row: Row) -> bool:
        if self.prompt[0] in row and self.response[0] in row:  # nearly always
            return True
        return any(name in row for name in self.prompt) and any(name in row for name in self.response)

    def mapping(self, columns: list[str]) -> dict[str, str]:
        """Which of these columns is read for which part."""
        found = {part: next((name for name in names if name in columns), None) for part, names in self.parts.items()}
        return {part: name for part, name in found.items() if name}

    @cached_property
    def parts(self) -> dict[str, Names]:
        return {
            "prompt": self.prompt,
            "context": self.context,
            "response": self.response,
            "system": self.system,
            "history": self.history,
        }

    @property
    def all(self) -> frozenset[str]:
        return frozenset(name for names in self.parts.values() for name in names)

    def read(self, row: Row, _mapping: Mapped) -> Conversation:
        columns: dict[str, str] = {}
        for part, names in self.parts.items():
            for name in names:
                if name in row:
                    if row[name]:  # the first that holds something, otherwise the first that is there
                        columns[part] = name
                        break
                    columns.setdefault(part, name)
        return read_columns(row, columns, self.context_first)


def read_columns(row: Row, columns: Mapped, context_first: bool = False) -> Conversation:
    """One question (with what belongs to it) and one answer, after a system message and earlier turns when there are any."""
    if "prompt" not in columns or "response" not in columns:
        missing = "prompt" if "prompt" not in columns else "response"
        raise RowFault("column", f"The row has no column for the {missing}.", "Add it, or drop the row.")
    prompt, response = row[columns["prompt"]], row[columns["response"]]
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):  # both sides as lists of messages
        return read_messages(
            [*prompt, *list_in(response, columns["response"])], columns["prompt"], _optional(row, columns, "system")
        )
    found = Conversation([])
    if "system" in columns:
        _add(found, "system", row.get(columns["system"]), columns["system"])
    if "history" in columns:
        _add_history(found, row.get(columns["history"]), columns["history"])
    question = _filled_in(prompt, columns["prompt"])
    context = _optional(row, columns, "context")
    if context is not None and is_filled(below := text_of(context, columns["context"])):
        question = f"{below}\n\n{question}" if context_first else f"{question}\n\n{below}"
    answer = _filled_in(response, columns["response"])
    found.messages += ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return found


def _optional(row: Row, columns: Mapped, part: str) -> Any:
    return row.get(columns[part]) if part in columns else None


def _filled_in(value: Any, column: str) -> str:
    text = text_of(value, column)
    if not is_filled(text):
        raise RowFault(
            "empty",
            f"'{clip(column, 40)}' is empty, so there is nothing to learn.",
            "Fill it in, or drop the row.",
            column,
        )
    return text


def _add(found: Conversation, role: str, value: Any, column: str | None) -> None:
    if value is not None:
        found.messages.append({"role": role, "content": text_of(value, column or role)})


def _add_history(found: Conversation, value: Any, column: str) -> None:
    if value in (None, "", []):
        return
    for number, pair in enumerate(list_in(value, column)):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise RowFault(
                "type",
                f"'{column}[{number}]' is no pair of question and answer.",
                "Write the history as [[question, answer], ...].",
                column,
            )
        _add(found, "user", pair[0], f"{column}[{number}][0]")
        _add(found, "assistant", pair[1], f"{column}[{number}][1]")


def column_format(name: str, title: str, example: str, fields: Fields, standing: int = 0) -> Format:
    """A format whose rows are told by the names of their columns."""
    return Format(name, title, example, fields.fits, fields.read, fields.mapping, fields.all, standing)
