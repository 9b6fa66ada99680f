"""What is learned from a row: the answers of a conversation, every token of a text, or which of two answers is preferred."""

from dataclasses import dataclass
from typing import Any, Literal

from studio.answer_spans import Answers
from studio.errors import BadInput, Invalid
from studio.formats import KINDS, Kind
from studio.tokens import ChatTokenizer, Encoded
from studio.training_settings import TrainingSettings

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


CAN: dict[Kind, tuple[Objective, ...]] = {
    "conversations": ("answers",),
    "text": ("text",),
    "preference": ("preference", "answers"),
}
"""What can be learned from each kind of data; the first is meant by "auto"."""
WHY_NOT = {
    ("conversations", "text"): "conversations are written with the model's chat template, not as raw text",
    (
        "conversations",
        "preference",
    ): "there is one answer to each question, and preferring needs a chosen and a rejected one",
    ("text", "answers"): "raw text has no questions and answers",
    ("text", "preference"): "raw text has no chosen and rejected answers",
    ("preference", "text"): "its rows are pairs of answers, not raw text",
}


def learning_from(settings: TrainingSettings, kind: Kind, marked_rows: int = 0) -> Learning:
    """What a plan's settings mean for data of this kind. Raises Invalid with the setting that it cannot be used with."""
    objective = CAN[kind][0] if settings.objective == "auto" else settings.objective
    if objective not in CAN[kind]:
        raise Invalid(
            f"The data is of the kind '{KINDS[kind]}': {WHY_NOT[kind, objective]}.",
            f"Choose auto or {' or '.join(CAN[kind])}, or other data.",
            "training.objective",
        )
    if kind != "conversations" and settings.answers in ("last", "marked"):
        raise Invalid(
            f"Which answers are learned is a choice for conversations, and the data is of the kind '{KINDS[kind]}'.",
            "Choose auto.",
            "training.answers",
        )
    if settings.answers == "marked" and not marked_rows:
        raise Invalid(
            "No answer in this data is marked to be learned or not.",
            'Mark answers, such as with "train": true in their message, or choose all or last.',
            "training.answers",
        )
    if settings.answers == "auto":
        return Learning(objective, "marked" if kind == "conversations" and marked_rows else "all")
    return Learning(objective, settings.answers)


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
