"""A comparison as it stands on the page: one conversation per column. It travels in the page, so it is checked when it comes back."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.errors import Invalid

MOST_COLUMNS = 4
MOST_TURNS = 200
MOST_TRIES = 10_000


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: str = Field(pattern="^(user|assistant)$")
    content: str = Field(max_length=200_000)


class Column(BaseModel):
    """Somebody who answers, and what was said to and by it."""

    who: str = Field("", max_length=1000)
    """As in lineup.py: "base", an adapter's id, a mix, a checkpoint. Empty while the names are hidden."""
    name: str = Field("", max_length=1000)
    messages: list[Message] = Field(default_factory=list, max_length=MOST_TURNS)
    colour: int = Field(0, ge=0, le=MOST_COLUMNS)
    """Which colour of the series is its own: 0, grey, is the base's."""
    tries: int = Field(0, ge=0, le=MOST_TRIES)
    """How often its last answer was asked for again, each time with the next seed."""
    notice: str = Field("", max_length=2000)
    """What the chat worker said about the last answer, such as that the conversation had to be cut."""
    done: dict[str, Any] | None = None
    """What the chat worker said at the end of the last answer: tokens, seconds, tokens_per_second, stopped_by, proof."""

    @property
    def answer(self) -> str:
        """The last answer; empty before there is one."""
        return self.messages[-1].content if self.messages and self.messages[-1].role == "assistant" else ""

    @property
    def questions(self) -> list[str]:
        return [message.content for message in self.messages if message.role == "user"]

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
    stream: str = Field("", max_length=64)
    """Id of the comparison whose answers are being written, by which it can be steered."""
    stored: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=MOST_COLUMNS)
    """Of each column, the id of the comparison in which its conversation is kept; none before the first answer."""
    asked: list[int] = Field(default_factory=list, max_length=MOST_COLUMNS)
    """The places of the columns that answer in it, in its order."""
    position: int = Field(0, ge=0)
    """Its place among the questions that wait for their turn; 0 once it is answered."""
    editing: int | None = Field(None, ge=0, lt=MOST_TURNS)
    """Which question is in the prompt, to be asked otherwise: it and what came after it go when the new one is sent."""

    @property
    def votable(self) -> bool:
        """Blind, and every column has answered to its end."""
        ended = (column.done and column.done.get("stopped_by") != "cancel" for column in self.columns)
        return bool(self.hidden and self.blind and self.columns and all(ended))

    @property
    def questions(self) -> int:
        return len(self.columns[0].questions) if self.columns else 0

    @property
    def last_question(self) -> str:
        asked = [question for column in self.columns for question in column.questions]
        return asked[-1] if asked else ""

    def question(self, number: int) -> str:
        """The question of this number, 0 the first. Raises Invalid when there is none."""
        asked = self.columns[0].questions if self.columns else []
        if not 0 <= number < len(asked):
            raise Invalid("There is no such question here.", "Reload the page.")
        return asked[number]

    def ask(self, question: str) -> None:
        """Put one question to every column, in place of the one that is being edited and all after it."""
        if self.editing is not None:
            self.cut(self.editing)
        for column in self.columns:
            column.messages.append(Message(role="user", content=question))
            column.done, column.tries, column.notice = None, 0, ""
        self.asked = list(range(len(self.columns)))

    def cut(self, questions: int) -> None:
        """Keep only so many questions and their answers."""
        self.editing = None
        for column in self.columns:
            starts = [at for at, message in enumerate(column.messages) if message.role == "user"]
            del column.messages[starts[questions] if questions < len(starts) else len(column.messages) :]
            column.done, column.tries, column.notice = {"stopped_by": "end"} if column.messages else None, 0, ""

    def hear(self, event: dict) -> None:
        """Take one event of the stream: its id, the place in the line, a piece of an answer or its end; notices say nothing here."""
        self.stream = event.get("id", self.stream)
        self.position = event.get("position", 0)
        if "column" not in event:
            return
        column = self.columns[self.asked[event["column"]] if self.asked else event["column"]]
        if "notice" in event:
            column.notice = f"{column.notice} {event['notice']}".strip()[:2000]
        elif event.get("done"):
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
        self.keep()
        self.over()

    def keep(self) -> None:
        """What has just been answered is stored, if anything was said; otherwise it stands as it was stored before."""
        answered = [self.columns[at] for at in self.asked if at < len(self.columns)]
        if (
            self.stream
            and not self.hidden
            and any(column.answer or "proof" in (column.done or {}) for column in answered)
        ):
            before = self.stored if len(self.stored) == len(self.columns) else [self.stream] * len(self.columns)
            self.stored = [self.stream if at in self.asked else id for at, id in enumerate(before)]

    def over(self) -> None:
        """Nothing is being written any more."""
        self.stream, self.position = "", 0

    def finish(self) -> None:
        """All have answered, which is all that is told while the names are hidden."""
        for column in self.columns:
            column.done = {"stopped_by": "end"}
            column.answered()
        self.over()

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
        self.cut(max(self.questions - 1, 0))
        self.over()
        return question

    def ask_again(self, place: str) -> Column:
        """Forget the last answer of the column at this place, to have another one drawn. Returns the column."""
        at, column = next(((at, column) for at, column in enumerate(self.columns) if str(at) == place), (0, None))
        if column is None or not column.answer:
            raise Invalid("This column has no answer yet.", "Ask a question first.")
        column.messages.pop()
        column.done, column.tries, column.notice = None, column.tries + 1, ""
        self.asked = [at]
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
