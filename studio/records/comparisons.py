"""Comparisons, open and blind, and what people voted."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio.folders import new_id
from studio.records.record import Record, owner_column, utc_now


class Comparison(Record):
    """One question and the answers it got from the base and the adapters."""

    __tablename__ = "comparisons"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    base_model: Mapped[str] = mapped_column(ForeignKey("base_models.id"), index=True)
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)  # messages, columns, sampling
    answers: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # {"columns": [{"text", "tokens", "seconds", "proof"}]}
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class BlindComparison(Record):
    """A conversation with several models whose names are hidden. Who is who stands here alone until a person has voted."""

    __tablename__ = "blind_comparisons"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    team: Mapped[bool] = mapped_column(default=False)  # others of the studio may read and vote too
    base_model: Mapped[str] = mapped_column(ForeignKey("base_models.id", ondelete="CASCADE"), index=True)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # system, max_new_tokens, temperature, top_p, seed
    columns: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # in the shown order: {adapter, name, sha256}
    turns: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # {key, question, answers: [{text, ...}] | null}
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class Vote(Record):
    """What one person found best in one blind comparison."""

    __tablename__ = "votes"
    __table_args__ = (UniqueConstraint("comparison", "person", name="votes_once"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    comparison: Mapped[str] = mapped_column(ForeignKey("blind_comparisons.id", ondelete="CASCADE"), index=True)
    person: Mapped[str] = mapped_column(ForeignKey("people.id"), index=True)
    choice: Mapped[str] = mapped_column(String(8))  # A, B, C, D: an answer in the shown order; tie; bad
    revealed_at: Mapped[datetime | None]  # from then on the vote stays as it is
    at: Mapped[datetime] = mapped_column(default=utc_now)
