"""A comparison as it stands on the page: one conversation per column, the base first. It travels in the page, so it is checked when it comes back."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.errors import Invalid

MOST_COLUMNS = 4
MOST_TURNS = 200


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: str = Field(pattern="^(user|assistant)$")
    content: str = Field(max_length=200_000)


class Column(BaseModel):
    """The base, or one adapter on it, and what was said to and by it."""

    adapter: str | None = Field(None, max_length=64)
    name: str = Field("", max_length=300)
    messages: list[Message] = Field(default_factory=list, max_length=MOST_TURNS)
    colour: int = Field(0, ge=0, lt=MOST_COLUMNS)
    """Which colour of the series is its own: 0, grey, is the base's."""
    tries: int = Field(0, ge=0, le=10_000)
    """How often its last answer was asked for again, each time with the next seed."""
    done: dict[str, Any] | None = None
    """What the chat worker said at the end of the last answer: tokens, seconds, tokens_per_second, stopped_by, proof."""

    @property
    def answer(self) -> str:
        """The last answer; empty before there is one."""
        return self.messages[-1].content if self.messages and self.messages[-1].role == "assistant" else ""

    @property
    def waiting(self) -> bool:
        """Asked, and not at the end of its answer."""
        return bool(self.messages) and self.done is None

    def answered(self, piece: str = "") -> None:
        """Add a piece to the answer to the last question, which may be its first."""
        if self.messages[-1].role == "user":
            self.messages.append(Message(role="assistant", content=piece))
        else:
            self.messages[-1].content += piece


class Talk(BaseModel):
    base_model: str = Field("", max_length=64)
    columns: list[Column] = Field(default_factory=list, max_length=MOST_COLUMNS)
    blind: str = Field("", max_length=64)
    """Id of the blind comparison that this shows; the page knows no more of it than what is drawn."""
    hidden: bool = False
    """The columns have letters instead of names."""

    @property
    def votable(self) -> bool:
        """Blind, and every column has answered to its end."""
        ended = (column.done and column.done.get("stopped_by") != "cancel" for column in self.columns)
        return bool(self.hidden and self.blind and self.columns and all(ended))

    @property
    def questions(self) -> int:
        return sum(message.role == "user" for message in self.columns[0].messages) if self.columns else 0

    @property
    def last_question(self) -> str:
        asked = [message.content for column in self.columns for message in column.messages if message.role == "user"]
        return asked[-1] if asked else ""

    def ask(self, question: str) -> None:
        """Put one question to every column."""
        for column in self.columns:
            column.messages.append(Message(role="user", content=question))
            column.done, column.tries = None, 0

    def hear(self, event: dict) -> None:
        """Take one event of the stream: a piece of an answer, or its end; notices say nothing here."""
        if "column" not in event:
            return
        column = self.columns[event["column"]]
        if event.get("done"):
            column.done = {key: value for key, value in event.items() if key not in ("column", "done")}
            column.answered()
        else:
            column.answered(event.get("text", ""))

    def end(self) -> None:
        """Whoever has not finished is stopped where it is."""
        for column in self.columns:
            if column.waiting:
                column.done = {"stopped_by": "cancel"}
                column.answered()

    def finish(self) -> None:
        """All have answered, which is all that is told while the names are hidden."""
        for column in self.columns:
            column.done = {"stopped_by": "end"}
            column.answered()

    def give_up(self) -> bool:
        """No more answers come. A question to which nobody has said a word is taken back: True then."""
        if any(column.waiting and column.answer for column in self.columns) or not any(
            column.waiting for column in self.columns
        ):
            self.end()
            return False
        self.take_back()
        return True

    def take_back(self) -> str:
        """Forget the last question and its answers. Returns the question."""
        question = self.last_question
        for column in self.columns:
            while column.messages and column.messages[-1].role == "assistant":
                column.messages.pop()
            if column.messages:
                column.messages.pop()
            column.done, column.tries = None, 0
        return question

    def ask_again(self, place: str) -> Column:
        """Forget the last answer of the column at this place, to have another one drawn. Returns the column."""
        column = next((column for at, column in enumerate(self.columns) if str(at) == place), None)
        if column is None or not column.answer:
            raise Invalid("This column has no answer yet.", "Ask a question first.")
        column.messages.pop()
        column.done, column.tries = None, column.tries + 1
        return column


def read_talk(value: Any) -> Talk:
    """The conversation as the page sent it back. Raises Invalid for one that this page did not make."""
    try:
        return Talk.model_validate(value or {})
    except ValidationError:
        raise Invalid(
            "The conversation on this page cannot be read, or it has grown beyond 100 questions.",
            "Clear it and ask again.",
        ) from None
