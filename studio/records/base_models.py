"""Base models."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from studio.folders import new_id
from studio.records.record import Record, owner_column, utc_now
from studio.records.states import ModelState


class BaseModel(Record):
    """One base model that can be adapted."""

    __tablename__ = "base_models"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    name: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(16))  # builtin, local, hub, merged
    location: Mapped[str] = mapped_column(
        String(500)
    )  # folder name below the models folder, the Hub's owner/name, or what was merged
    revision: Mapped[str | None] = mapped_column(String(100))  # of a Hub model: the commit
    state: Mapped[ModelState] = mapped_column(default=ModelState.READY, index=True)
    problem: Mapped[str | None]
    fix: Mapped[str | None]
    bytes_done: Mapped[int] = mapped_column(BigInteger, default=0)
    bytes_total: Mapped[int] = mapped_column(BigInteger, default=0)
    pid: Mapped[int | None]  # of its download worker
    pid_start: Mapped[float | None]
    parameters: Mapped[int] = mapped_column(BigInteger, default=0)
    fingerprint: Mapped[str | None] = mapped_column(String(64), index=True)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # ModelFacts as JSON; {} until ready
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
