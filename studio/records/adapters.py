"""Adapters, and the work that is done on them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from studio.folders import new_id
from studio.records.base_models import BaseModel
from studio.records.record import Record, owner_column, utc_now
from studio.records.states import JobState


class Adapter(Record):
    """One trained adapter that can be compared and taken away."""

    __tablename__ = "adapters"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    name: Mapped[str] = mapped_column(String(100))
    base_model: Mapped[str] = mapped_column(ForeignKey("base_models.id"), index=True)
    run: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    source: Mapped[str] = mapped_column(String(16), default="run")  # run, stack, shrink, extract, import
    method: Mapped[str] = mapped_column(String(32))
    rank: Mapped[int | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))  # of adapter_model.safetensors
    heldout_loss: Mapped[float | None]
    base_heldout_loss: Mapped[float | None]
    verdict: Mapped[str | None] = mapped_column(String(16))  # as of its run
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    model: Mapped[BaseModel] = relationship(lazy="joined", viewonly=True)

    @property
    def base_model_name(self) -> str:
        return self.model.name


class AdapterJob(Record):
    """One piece of work on finished adapters, such as a stack; its settings and parents are in its folder's request.json."""

    __tablename__ = "adapter_jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)  # also of the adapter that it makes
    owner: Mapped[str] = owner_column()
    kind: Mapped[str] = mapped_column(String(16))  # stack, shrink, merge, extract, fetch, push
    name: Mapped[str] = mapped_column(String(100))  # of what it makes
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[JobState] = mapped_column(default=JobState.QUEUED, index=True)
    cancel: Mapped[bool] = mapped_column(default=False)  # the person wants it to end; read by the runner
    progress: Mapped[float] = mapped_column(default=0.0)  # from 0 to 1
    doing: Mapped[str] = mapped_column(String(200), default="")  # in words
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)  # {"adapter": id, and what was measured}
    problem: Mapped[str | None]
    fix: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
