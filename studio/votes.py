"""Votes: one per person and blind comparison, changed freely until its names are shown, and never after."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from studio import blind
from studio.errors import Conflict
from studio.records import LOCAL_PERSON, BlindComparison, Vote, utc_now
from studio.studio import Studio


def cast(studio: Studio, id: str, choice: str, person: str = LOCAL_PERSON) -> dict:
    """Vote, or change the vote. Returns blind.view, still without names.

    Raises Conflict before every column has answered and after the names were shown, Invalid for no such choice.
    """
    with studio.database.write() as session:
        comparison = blind.get(session, id, person)
        vote = _vote_of(session, id, person)
        if vote and vote.revealed_at:
            raise Conflict("The names have been shown, so this vote stays as it is.", "Ask again in a new comparison.")
        if not comparison.turns or not blind.whole(comparison.turns[-1]):
            raise Conflict(
                "Not every column has answered to its end.", "Wait for the answers, or ask again if they were stopped."
            )
        chosen = blind.choice_of(choice, len(comparison.columns))
        if vote is None:
            vote = Vote(comparison=id, person=person, choice=chosen)
            session.add(vote)
        vote.choice, vote.at = chosen, utc_now()
        return blind.shown(comparison, vote)


def reveal(studio: Studio, id: str, person: str = LOCAL_PERSON) -> dict:
    """Close the vote and show the names with their proofs. Raises Conflict before there is a vote."""
    with studio.database.write() as session:
        comparison = blind.get(session, id, person)
        vote = _vote_of(session, id, person)
        if vote is None:
            raise Conflict("You have not voted yet.", "Vote first: the names are shown after it.")
        vote.revealed_at = vote.revealed_at or utc_now()
        return blind.shown(comparison, vote)


def _vote_of(session: Session, id: str, person: str) -> Vote | None:
    return session.scalar(select(Vote).where(Vote.comparison == id, Vote.person == person))


def closed_votes(
    studio: Studio, base_model: str, person: str = LOCAL_PERSON, by: str | None = None, texts: bool = True
) -> list[tuple[Vote, BlindComparison]]:
    """Votes on this base model and its adapters that `person` may know of, oldest first; with `by` those of one person.

    Only closed ones: while a vote can still be changed, a result that moves with it would tell who is who. Without `texts`,
    questions and answers stay in the database: counting needs none of them.
    """
    query = (
        select(Vote, BlindComparison)
        .join(BlindComparison, Vote.comparison == BlindComparison.id)
        .where(BlindComparison.base_model == base_model, Vote.revealed_at.is_not(None))
        .where(BlindComparison.team | (BlindComparison.owner == person))
        .order_by(Vote.at, Vote.id)
    )
    if by:
        query = query.where(Vote.person == by)
    if not texts:
        query = query.options(defer(BlindComparison.turns, raiseload=True))
    with studio.database.read() as session:
        return [(vote, comparison) for vote, comparison in session.execute(query)]


def voted_models(studio: Studio, person: str = LOCAL_PERSON) -> list[str]:
    """Ids of the base models that have closed votes, the latest vote's first."""
    query = (
        select(BlindComparison.base_model)
        .join(Vote, Vote.comparison == BlindComparison.id)
        .where(Vote.revealed_at.is_not(None), BlindComparison.team | (BlindComparison.owner == person))
        .group_by(BlindComparison.base_model)
        .order_by(func.max(Vote.at).desc())
    )
    with studio.database.read() as session:
        return list(session.scalars(query))
