"""Blind comparison: the answers stand beside each other without names, in an order that is drawn here for each of them.

What leaves this module before a person's vote is texts and letters. Answers are told in step, so that neither speed nor
the order of arrival says which model writes. Who is who is told by `view` once `votes.reveal` has closed the vote.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Literal

from pydantic import Field, field_validator
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from studio import compare
from studio.columns import Answerer, answerers
from studio.compare_request import (
    MOST_COLUMNS,
    Answering,
    CompareRequest,
    Id,
    Sampling,
    Text,
    read_request,
)
from studio.errors import Conflict, Invalid, NotFound
from studio.folders import new_id
from studio.listing import LIMIT, Listing, listing
from studio.records import LOCAL_PERSON, BaseModel, BlindComparison, Vote
from studio.studio import Studio

LETTERS = "ABCD"
BASE = "base"  # key of the base model itself
MOST_TURNS = 100
STRIDE = 12  # characters of each column that are told at once
SLOWEST = 0.5  # seconds between two strides
SAMPLING = tuple(Sampling.model_fields)
State = Literal["new", "writing", "stopped", "ready", "voted", "revealed"]


class BlindRequest(Sampling):
    """Who is to be compared, and how they answer."""

    base_model: Id = Field(description="Id of the base model that all columns share.")
    columns: list[Answering] = Field(min_length=2, max_length=MOST_COLUMNS)
    system: Text | None = Field(None, description="Instructions for all columns.")
    team: bool = Field(False, title="For the team", description="Others of this studio may read and vote too.")

    @field_validator("columns")
    @classmethod
    def all_different(cls, columns: list[Answering]) -> list[Answering]:
        if len({key_of(column.model_dump()) for column in columns}) < len(columns):
            raise ValueError("hold the same model twice: a vote between equals says nothing")
        return columns


def create(
    studio: Studio, request: BlindRequest, person: str = LOCAL_PERSON, draw: random.Random | None = None
) -> BlindComparison:
    """A blind comparison, nothing asked yet; its columns' order is drawn by `draw`, the operating system's generator by default.

    Raises NotFound, Conflict or Invalid when one of the models cannot answer.
    """
    base, chosen = answerers(studio, request.base_model, request.columns, person)
    sides = [side_of(base, column, found) for column, found in zip(request.columns, chosen, strict=True)]
    made = BlindComparison(
        id=new_id(),
        owner=person,
        team=request.team,
        base_model=base.id,
        settings=settings_of(request),
        columns=shuffled(sides, draw),
        turns=[],
    )
    with studio.database.write() as session:
        session.add(made)
    return made


def side_of(base: BaseModel, asked: Answering, found: Answerer) -> dict:
    """Who answers, as a comparison remembers it: what was asked, and what it was called then."""
    said = {"adapter": None, **asked.model_dump(exclude_none=True)}
    if found.adapter:
        return {**said, "name": found.adapter.name, "sha256": found.adapter.sha256}
    return {**said, "name": found.name or base.name, "sha256": None if found.name else base.fingerprint}


def key_of(side: dict) -> str:
    """The same word for the same model: "base", an adapter's id, a mix with its weights, a checkpoint."""
    if mix := side.get("mix"):
        return " ".join(sorted(f"{part['adapter']}*{part['weight']:g}" for part in mix))
    if checkpoint := side.get("checkpoint"):
        return f"{checkpoint['run']}@{checkpoint['step']}"
    return side.get("adapter") or BASE


def shuffled(sides: list, draw: random.Random | None = None) -> list:
    """The same in an order of which every one is as likely; from the operating system's generator, which nobody can foresee."""
    order = list(sides)
    (draw or secrets.SystemRandom()).shuffle(order)
    return order


def get(session: Session, id: str, person: str) -> BlindComparison:
    """Raises NotFound for one that is not there, and for another person's that is not the team's."""
    found = session.get(BlindComparison, id)
    if found is None or not (found.team or found.owner == person):
        raise NotFound("blind comparison", id)
    return found


def is_of(studio: Studio, id: str, request: BlindRequest, person: str = LOCAL_PERSON) -> bool:
    """Is it a comparison of these models with these settings? Raises NotFound."""
    with studio.database.read() as session:
        comparison = get(session, id, person)
    asked = {key_of(column.model_dump()) for column in request.columns}
    there = {key_of(side) for side in comparison.columns}
    return (request.base_model, asked, settings_of(request)) == (comparison.base_model, there, comparison.settings)


def settings_of(request: BlindRequest) -> dict:
    return request.model_dump(include={"system", *SAMPLING})


async def ask(studio: Studio, id: str, question: str, person: str = LOCAL_PERSON) -> AsyncIterator[dict]:
    """Put one more question to all columns: {"column", "text"}, {"notice"} and {"position"} while they answer, {"ended": True} when all have.

    Raises Conflict once a vote is cast, otherwise as compare.answers does. Closing it stops the answers; what was shown stays.
    """
    request, key = await asyncio.to_thread(_begin, studio, id, question, person)
    step, began = InStep(len(request.columns)), None
    try:
        async with contextlib.aclosing(compare.answers(studio, request, person)) as events:
            async for event in events:
                for notice in step.take(event):
                    yield notice
                began = began or (time.monotonic() if step.ready else None)
                for number, pieces in enumerate(step.release()):
                    if number:  # as fast as the answers have grown until now
                        await asyncio.sleep(min(SLOWEST, STRIDE * (time.monotonic() - began) / step.reach))
                    for piece in pieces:
                        yield piece
    finally:
        await asyncio.shield(asyncio.to_thread(_save, studio, id, key, step.shown()))
    yield {"ended": True}


class InStep:
    """Holds back what a column is ahead of the slowest one that still writes, and everything that is no text.

    When the slowest one ends, what the others hold ready comes in strides: a burst would say which was the slowest.
    """

    def __init__(self, columns: int):
        self.kept = compare.nothing_said(columns)
        self.reach = 0  # characters of every column that have been told
        self.notices: set[str] = set()

    def take(self, event: dict) -> list[dict]:
        """Hear one event of compare.answers. Returns what is to be told at once: a new notice, or the place in the line."""
        if "notice" in event:  # whom it is about is not told, nor how many it is about
            new = event["notice"] not in self.notices
            self.notices.add(event["notice"])
            return [{"notice": event["notice"]}] if new else []
        if "position" in event:
            return [event]
        compare.keep(self.kept, event)
        return []

    @property
    def ready(self) -> int:
        """How many characters of every column may be told by now."""
        writing = [len(answer["text"]) for answer in self.kept if "proof" not in answer]
        return min(writing) if writing else max(len(answer["text"]) for answer in self.kept)

    def release(self) -> Iterator[list[dict]]:
        """What may be told by now and was not, in strides of every column at once."""
        while self.reach < (ready := self.ready):
            start, self.reach = self.reach, min(self.reach + STRIDE, ready)
            pieces = [answer["text"][start : self.reach] for answer in self.kept]
            yield [{"column": place, "text": piece} for place, piece in enumerate(pieces) if piece]

    def shown(self) -> list[dict]:
        """What is kept: whole answers with their proofs, or of each what was told when one is not whole."""
        if all(finished(answer) for answer in self.kept):
            return self.kept
        return [{"text": answer["text"][: self.reach], "stopped_by": "cancel"} for answer in self.kept]


def finished(answer: dict) -> bool:
    return "proof" in answer and answer.get("stopped_by") != "cancel"


def _begin(studio: Studio, id: str, question: str, person: str) -> tuple[CompareRequest, str]:
    """Note the question as being answered. Returns what to ask, and the key of its turn.

    A turn that nobody has answered yet is given up: the process that wrote it has ended, or will find its place taken.
    """
    if not question.strip():
        raise Invalid("There is no question yet.", "Write one.", "question")
    with studio.database.write() as session:
        comparison = _askable(session, id, person)
        turns = [turn for turn in comparison.turns if turn["answers"]]
        if len(turns) >= MOST_TURNS:
            raise Conflict(f"This conversation has {MOST_TURNS} questions already.", "Vote, then begin another one.")
        request = _request(comparison, turns, question)
        key = new_id()
        comparison.turns = [*turns, {"key": key, "question": question, "answers": None}]
        return request, key


def _askable(session: Session, id: str, person: str) -> BlindComparison:
    comparison = get(session, id, person)
    if comparison.owner != person:
        raise Conflict("Only who began this comparison can ask in it.", "Vote on it, or begin your own.")
    if session.scalar(select(Vote.id).where(Vote.comparison == id).limit(1)):
        raise Conflict("This comparison has been voted on.", "Begin a new one: its columns are shuffled again.")
    return comparison


def _request(comparison: BlindComparison, turns: list[dict], question: str) -> CompareRequest:
    columns = [
        {
            **{name: side.get(name) for name in Answering.model_fields},
            "messages": [*conversation(turns, place), {"role": "user", "content": question}],
        }
        for place, side in enumerate(comparison.columns)
    ]
    values = {"base_model": comparison.base_model, "messages": columns[0]["messages"], "columns": columns}
    return read_request(values | comparison.settings)


def conversation(turns: list[dict], place: int) -> list[dict]:
    """What was said to and by the column at this place, as messages."""
    return [
        message
        for turn in turns
        for message in (
            {"role": "user", "content": turn["question"]},
            {"role": "assistant", "content": turn["answers"][place]["text"]},
        )
    ]


def _save(studio: Studio, id: str, key: str, answers: list[dict]) -> None:
    """Keep a turn's answers; a turn of which nobody has read a word is forgotten. Nothing is done once another took its place."""
    with studio.database.write() as session:
        comparison = session.get(BlindComparison, id)
        if comparison is None or not any(turn["key"] == key for turn in comparison.turns):
            return
        said = any(answer["text"] or finished(answer) for answer in answers)
        comparison.turns = [
            turn if turn["key"] != key else {**turn, "answers": answers}
            for turn in comparison.turns
            if turn["key"] != key or said
        ]


def take_back(studio: Studio, id: str, person: str = LOCAL_PERSON, keep: int | None = None) -> None:
    """Forget the last question and its answers, or all after the first `keep` of them; the order of the columns stays."""
    with studio.database.write() as session:
        comparison = _askable(session, id, person)
        comparison.turns = comparison.turns[: max(len(comparison.turns) - 1, 0) if keep is None else keep]


def whole(turn: dict) -> bool:
    """Has every column answered to its end?"""
    return bool(turn["answers"]) and all(finished(answer) for answer in turn["answers"])


def state_of(comparison: BlindComparison, vote: Vote | None) -> State:
    """Where it stands for the person whose vote this is."""
    if vote:
        return "revealed" if vote.revealed_at else "voted"
    if not comparison.turns:
        return "new"
    last = comparison.turns[-1]
    return "ready" if whole(last) else "stopped" if last["answers"] else "writing"


def view(studio: Studio, id: str, person: str = LOCAL_PERSON) -> dict:
    """What this person may know: texts and letters, and once their vote is closed the names, proofs and speeds too."""
    with studio.database.read() as session:
        comparison = get(session, id, person)
        vote = session.scalar(select(Vote).where(Vote.comparison == id, Vote.person == person))
        return shown(comparison, vote)


def listed(studio: Studio, person: str = LOCAL_PERSON, limit: int = LIMIT, cursor: str | None = None) -> Listing[dict]:
    """Blind comparisons that this person may see, newest first, each as `view` tells it."""
    mine = or_(BlindComparison.owner == person, BlindComparison.team)
    query = select(BlindComparison).where(mine).order_by(BlindComparison.created_at.desc(), BlindComparison.id)
    with studio.database.read() as session:
        page = listing(session, query, limit, cursor)
        ids = [comparison.id for comparison in page.items]
        cast = select(Vote).where(Vote.person == person, Vote.comparison.in_(ids))
        by_comparison = {vote.comparison: vote for vote in session.scalars(cast)}
        return Listing([shown(comparison, by_comparison.get(comparison.id)) for comparison in page.items], page.next)


def shown(comparison: BlindComparison, vote: Vote | None) -> dict:
    state = state_of(comparison, vote)
    known = {
        "id": comparison.id,
        "state": state,
        "vote": vote and vote.choice,
        "answers": list(LETTERS[: len(comparison.columns)]),
        "settings": comparison.settings,
        "turns": [
            {
                "question": turn["question"],
                "answers": [
                    answer if state == "revealed" else {"text": answer["text"]} for answer in turn["answers"] or []
                ],
            }
            for turn in comparison.turns
        ],
        "created_at": comparison.created_at.isoformat(),
    }
    if state != "revealed":
        return known
    names = [{"answer": letter, **side} for letter, side in zip(LETTERS, comparison.columns, strict=False)]
    return {**known, "base_model": comparison.base_model, "models": names}


def choice_of(text: str, columns: int) -> str:
    """A vote as it is stored: the letter of an answer, "tie" or "bad". Raises Invalid for anything else."""
    letters = LETTERS[:columns]
    choice = text.strip()
    choice = choice.upper() if len(choice) == 1 else choice.lower()
    if choice not in (*letters, "tie", "bad"):
        raise Invalid(
            "A vote is the letter of the best answer, or tie, or bad.",
            f"Send one of {', '.join(letters)}, tie and bad.",
            "choice",
        )
    return choice
