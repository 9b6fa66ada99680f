"""Suites of prompts, and models answering them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from studio.folders import new_id
from studio.records.record import Record, owner_column, utc_now
from studio.records.states import JobState


class Suite(Record):
    """A saved list of prompts that models answer again and again."""

    __tablename__ = "suites"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    name: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(16))  # made, upload, heldout, builtin
    about: Mapped[str] = mapped_column(String(500), default="")  # where its prompts come from, in words
    dataset: Mapped[str | None] = mapped_column(String(32))  # of held-out rows: whose they are; it may be gone by now
    dataset_sha256: Mapped[str | None] = mapped_column(String(64))
    after_training: Mapped[bool] = mapped_column(default=False)  # answered by base and adapter after every training
    prompts: Mapped[list[dict[str, Any]]] = mapped_column(default=list, deferred=True)  # SuitePrompt as JSON
    prompt_count: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(String(64))  # of the prompts: answers to the same ones can be compared
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class SuiteRun(Record):
    """All prompts of a suite answered by several models, as a job. The prompts as they were, and the answers, are in its folder."""

    __tablename__ = "suite_runs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    suite: Mapped[str | None] = mapped_column(ForeignKey("suites.id", ondelete="SET NULL"), index=True)
    name: Mapped[str] = mapped_column(String(100))  # of the suite, when it was asked for
    sha256: Mapped[str] = mapped_column(String(64))  # of its prompts
    prompts: Mapped[int]
    base_model: Mapped[str] = mapped_column(ForeignKey("base_models.id", ondelete="CASCADE"), index=True)
    training: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)  # after which
    neutral: Mapped[bool] = mapped_column(default=False)  # its prompts are those by which forgetting is told
    columns: Mapped[list[dict[str, Any]]] = mapped_column(
        default=list
    )  # {adapter, name, sha256}; adapter None: the base
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # SuiteRunRequest as JSON
    state: Mapped[JobState] = mapped_column(default=JobState.QUEUED, index=True)
    cancel: Mapped[bool] = mapped_column(default=False)  # the person wants it to end; read by the runner
    answered: Mapped[int] = mapped_column(default=0)  # answers on disk; of prompts x columns
    doing: Mapped[str] = mapped_column(String(200), default="")  # in words
    attempts: Mapped[int] = mapped_column(default=0)  # workers started since the last one that got further
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)  # shares by column, when it is done
    problem: Mapped[str | None]
    fix: Mapped[str | None]
    queued_at: Mapped[datetime] = mapped_column(
        default=utc_now, index=True
    )  # its place in the line, beside the trainings
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
