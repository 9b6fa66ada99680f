"""Blind comparison: answers without names, a vote, and then who was who."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from studio import blind, votes
from studio.api.compare import sent
from studio.api.here import ERRORS, Body, Here, Who
from studio.blind import BlindRequest
from studio.compare_request import MOST_CHARACTERS
from studio.listing import LIMIT, MOST

ROUTER = APIRouter(prefix="/api/v1/blind", tags=["Blind comparison"], responses=ERRORS)
EVENTS = {200: {"content": {"text/event-stream": {}}}}


class Question(Body):
    question: Annotated[str, Field(max_length=MOST_CHARACTERS)]


class Choice(Body):
    choice: str = Field(max_length=8, description="The letter of the best answer, or `tie`, or `bad` for all of them.")


@ROUTER.post("", status_code=201)
def create_blind_comparison(request: BlindRequest, here: Here, who: Who) -> dict:
    """Its columns are shuffled here; until you have voted, nothing tells which letter is which model."""
    return blind.view(here, blind.create(here, request, who).id, who)


@ROUTER.get("")
def list_blind_comparisons(
    here: Here, who: Who, limit: Annotated[int, Field(ge=1, le=MOST)] = LIMIT, cursor: str | None = None
) -> dict:
    """Yours and the team's, newest first; `state` tells which wait for your vote."""
    return blind.listed(here, who, limit, cursor).shown_as(dict)


@ROUTER.get("/{id}")
def get_blind_comparison(id: str, here: Here, who: Who) -> dict:
    return blind.view(here, id, who)


@ROUTER.post("/{id}/ask", response_class=StreamingResponse, responses=EVENTS)
async def ask_blind(id: str, asked: Question, here: Here, who: Who) -> StreamingResponse:
    """Events: `{"column": 0, "text": "..."}` of answers that grow in step, and at the end `{"ended": true}`."""
    events = blind.ask(here, id, asked.question, who)
    first = await anext(events, None)
    return StreamingResponse(sent(first, events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@ROUTER.post("/{id}/take-back")
def take_back_the_last_question(id: str, here: Here, who: Who) -> dict:
    """Forget the last question and its answers, to ask it again or another one; the order of the columns stays."""
    blind.take_back(here, id, who)
    return blind.view(here, id, who)


@ROUTER.post("/{id}/vote")
def cast_vote(id: str, vote: Choice, here: Here, who: Who) -> dict:
    """One vote per person; it may be changed until the names are shown."""
    return votes.cast(here, id, vote.choice, who)


@ROUTER.post("/{id}/reveal")
def reveal_names(id: str, here: Here, who: Who) -> dict:
    """Close your vote, and see which model wrote which answer, with its proof."""
    return votes.reveal(here, id, who)
