"""What is learned from a row: the answers of a conversation, every token of a text, or which of two answers is preferred."""

from dataclasses import dataclass
from typing import Any, Literal

from studio.answer_spans import Answers
from studio.errors import BadInput
from studio.tokens import ChatTokenizer, Encoded

Objective = Literal["answers", "text", "preference"]
Row = dict[str, Any]
"""One row of messages.jsonl: "messages", or "text", or "messages" with "chosen" and "rejected"."""


@dataclass(frozen=True)
class Learning:
    """What a training learns from each of its rows."""

    objective: Objective = "answers"
    answers: Answers = "all"
    """Which answers of a conversation, where the objective is "answers"."""

    @property
    def sequences_per_row(self) -> int:
        """Sequences that a row is computed as, apart from texts, which are cut into as many as they need."""
        return 2 if self.objective == "preference" else 1


def sequences(tokenizer: ChatTokenizer, row: Row, learning: Learning, length: int | None = None) -> list[Encoded]:
    """The row in tokens: the one function behind preview, counts and trainer.

    A conversation is one sequence, cut at `length`; a pair is two, the chosen answer first; a text is as many of at most
    `length` tokens as it takes, or one where no length is given. Raises BadInput that names the row.
    """
    try:
        if learning.objective == "text":
            return pieces_of(tokenizer.encode_text(row["text"]), length)
        if learning.objective == "preference":
            return [_with_answer(tokenizer, row, side, length) for side in ("chosen", "rejected")]
        if "chosen" in row:
            return [_with_answer(tokenizer, row, "chosen", length)]
        return [tokenizer.encode(row["messages"], max_length=length, answers=learning.answers)]
    except BadInput as error:
        raise BadInput(f"Row {row['row']}: {error.problem}", error.fix) from None


def _with_answer(tokenizer: ChatTokenizer, row: Row, side: str, length: int | None) -> Encoded:
    """The prompt of a pair with one of its answers, of which alone is learned."""
    prompt = row["messages"]
    return tokenizer.encode([*prompt, *row[side]], max_length=length, after=len(prompt))


def pieces_of(encoded: Encoded, length: int | None) -> list[Encoded]:
    """A text cut into pieces of `length` tokens. Each begins with the last token of the one before, to be predicted from,
    so that every token but the first is learned exactly once."""
    count = len(encoded.ids)
    if length is None or count <= length:
        return [encoded]
    starts = range(0, count - 1, length - 1)
    return [
        Encoded(
            encoded.ids[start : start + length],
            [start == 0, *encoded.trained[start + 1 : start + length]],
            spans=encoded.spans and encoded.spans[start : start + length],
            text=encoded.text,
        )
        for start in starts
    ]
