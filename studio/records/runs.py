"""Runs, their history, and the devices that they hold."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from studio.folders import new_id
from studio.records.record import Record, owner_column, utc_now
from studio.records.states import Status, Want


class Run(Record):
    """One training of one adapter. plan.json in its folder is the whole truth about its settings."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("runs_in_queue_order", "state", "priority", "queued_at"),
        UniqueConstraint("owner", "idempotency_key", name="runs_idempotency"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    name: Mapped[str] = mapped_column(String(100))
    base_model: Mapped[str] = mapped_column(ForeignKey("base_models.id"), index=True)
    dataset: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    dataset_version: Mapped[int] = mapped_column(default=1, server_default="1")
    method: Mapped[str] = mapped_column(String(32), index=True)
    tags: Mapped[list[str]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    parent: Mapped[str | None] = mapped_column(String(32))  # the run it was cloned from
    idempotency_key: Mapped[str | None] = mapped_column(String(200))

    state: Mapped[Status] = mapped_column(default=Status.QUEUED)
    want: Mapped[Want] = mapped_column(default=Want.RUN)
    epoch: Mapped[int] = mapped_column(default=0)  # fencing token: goes up at each claim and each adoption
    attempt_epoch: Mapped[int] = mapped_column(default=0)  # the epoch at the last claim; names the attempt's folder
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    not_before: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(default=0)
    line_at: Mapped[datetime | None]  # its place in the line, where its owner moved it; otherwise queued_at is
    reserved_at: Mapped[
        datetime | None
    ]  # since then it is at the head and waits for devices; smaller runs wait behind it
    gpus: Mapped[int] = mapped_column(default=1)
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)  # planned, on each device
    planned_seconds: Mapped[float | None]  # from the speed of earlier runs on its base; None where there were none
    runner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None]
    pid: Mapped[int | None]  # of the supervisor; with start time and boot id it is an identity
    pid_start: Mapped[float | None]
    boot_id: Mapped[str | None] = mapped_column(String(64))
    oom_retries: Mapped[int] = mapped_column(default=0)
    micro_batch: Mapped[int | None]
    grad_accum: Mapped[int | None]
    grad_checkpointing: Mapped[bool | None]

    problem: Mapped[str | None]
    fix: Mapped[str | None]
    steps: Mapped[int] = mapped_column(default=0)  # planned optimiser steps
    step: Mapped[int] = mapped_column(default=0)  # done so far
    loss: Mapped[float | None]  # last, smoothed
    heldout_loss: Mapped[float | None]  # last
    base_heldout_loss: Mapped[float | None]  # before the first step: the base model's own
    seconds_left: Mapped[float | None]
    sparkline: Mapped[list[float]] = mapped_column(default=list)  # at most 40 losses over the run
    suites: Mapped[
        str | None
    ]  # ids of those that are to be answered after it and have not been asked yet, with spaces between
    verdict: Mapped[str | None] = mapped_column(String(16))  # in a word: studio.verdict.judgement.Word
    queued_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    events: Mapped[list["RunEvent"]] = relationship(
        order_by="RunEvent.seq", cascade="all, delete-orphan", passive_deletes=True
    )


class RunEvent(Record):
    """One change of a run's state, or one thing worth telling about it. Append-only."""

    __tablename__ = "run_events"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int]
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(64))  # a person's id, or "runner"
    text: Mapped[str] = mapped_column(default="")  # in words, for the run page
    at: Mapped[datetime] = mapped_column(default=utc_now)


class Device(Record):
    """One slot that somebody can hold: a GPU, or the CPU of a machine without one; a GPU that runs may share has several."""

    __tablename__ = "devices"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # "cpu", "cuda:0"; a second slot of it "cuda:0#2"
    name: Mapped[str] = mapped_column(String(100))
    visible: Mapped[str] = mapped_column(String(64), default="", server_default="")  # for CUDA_VISIBLE_DEVICES
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    foreign_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # held by others' processes
    trouble: Mapped[str] = mapped_column(default="", server_default="")  # what keeps runs from it, in words
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    suite_run: Mapped[str | None] = mapped_column(ForeignKey("suite_runs.id", ondelete="SET NULL"))
    chat: Mapped[str | None] = mapped_column(String(32))  # the lease of the chat worker that is on it
    epoch: Mapped[int | None]
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)  # by the runner; its heartbeat


class ChatWait(Record):
    """Somebody's question that waits for a device, in one line with the runs; forgotten when nobody waits for it any more."""

    __tablename__ = "chat_waits"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    since: Mapped[datetime] = mapped_column(default=utc_now)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)  # by whoever waits
