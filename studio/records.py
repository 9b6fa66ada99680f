"""What the studio remembers: SQLAlchemy models. Facts we search or sort by are columns; everything else is a file in the thing's folder."""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Enum, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import DateTime, TypeDecorator

from studio.folders import new_id

LOCAL_PERSON = "local"  # owns everything until accounts come


def utc_now() -> datetime:
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator):
    """Times with their zone. SQLite forgets time zones, so they are stored as UTC and given back as UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


class Status(enum.StrEnum):
    """Where a run stands. docs/states.md draws the arrows; studio/transitions.py is the only code that moves along them."""

    QUEUED = "queued"  # waiting for a device
    STARTING = "starting"  # has a device, its process is being started
    RUNNING = "running"  # a worker trains
    PAUSING = "pausing"  # asked to stop (to pause, or to keep what there is); the worker is saving
    PAUSED = "paused"  # a checkpoint is on disk, no device is held
    RETRY_WAIT = "retry_wait"  # failed in a way that may pass; starts again by itself
    CANCELLING = "cancelling"  # asked to end; something of its process tree may still live
    CANCELLED = "cancelled"  # ended by the person; nothing of it lives
    SUCCEEDED = "succeeded"  # the adapter is on disk and loads
    FAILED = "failed"  # `problem` says why and `fix` what to do


LIVE = (Status.STARTING, Status.RUNNING, Status.PAUSING, Status.CANCELLING)  # holds devices
TERMINAL = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
OPEN = tuple(status for status in Status if status not in TERMINAL)


class Want(enum.StrEnum):
    """What the person wants of a run; never forgotten, read by the runner."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"  # stop and keep: make the adapter from the last step
    CANCEL = "cancel"


class ModelState(enum.StrEnum):
    QUEUED = "queued"  # waits to be downloaded
    DOWNLOADING = "downloading"  # a download worker is busy with it
    READY = "ready"  # checked; its clean folder can be loaded
    FAILED = "failed"  # `problem` and `fix` say why


class JobState(enum.StrEnum):
    """Where a job on adapters or the answering of a suite stands; adapter_job_queue.py and suites/run_queue.py move them."""

    QUEUED = "queued"  # waits for the one before it
    RUNNING = "running"  # a worker is busy with it
    DONE = "done"  # what it made is in its place
    FAILED = "failed"  # `problem` and `fix` say why; nothing of it is left
    CANCELLED = "cancelled"  # ended by the person; nothing of it is left


def stored_as_text(values: type[enum.StrEnum]) -> Enum:
    """A column of these values; a new value needs no change of the table."""
    return Enum(
        values,
        native_enum=False,
        create_constraint=False,
        length=16,
        values_callable=lambda all: [value.value for value in all],
    )


class Record(DeclarativeBase):
    type_annotation_map = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[float]: JSON,
        list[dict[str, Any]]: JSON,
        **{values: stored_as_text(values) for values in (Status, Want, ModelState, JobState)},
    }


def owner_column() -> Mapped[str]:
    return mapped_column(ForeignKey("people.id"), default=LOCAL_PERSON, index=True)


class Person(Record):
    __tablename__ = "people"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16), default="admin")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


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


class Dataset(Record):
    """One set of checked rows of one kind, in versions that never change. What is said of its rows is true of the newest."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    name: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(16))  # upload, builtin
    builtin_id: Mapped[str | None] = mapped_column(String(64))
    file_name: Mapped[str] = mapped_column(String(200))  # as uploaded, for showing
    format: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(
        String(16), default="conversations", server_default="conversations"
    )  # formats.KINDS
    rows: Mapped[int]  # usable ones, held-out ones included
    heldout_rows: Mapped[int] = mapped_column(default=0)  # of them, marked as held out by the data itself
    dropped_rows: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger)  # of messages.jsonl
    sha256: Mapped[str] = mapped_column(String(64), index=True)  # of messages.jsonl
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # number of the newest
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class DatasetVersion(Record):
    """One frozen state of a data set's rows: messages.jsonl in a folder of its own, and how it came about."""

    __tablename__ = "dataset_versions"

    dataset: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1 is what was brought
    parent: Mapped[int | None]  # number of the version that it was made from
    owner: Mapped[str] = owner_column()  # who made it
    why: Mapped[str] = mapped_column(String(300))  # in words
    rows: Mapped[int]
    heldout_rows: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)  # rows, against the parent
    removed: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), index=True)  # of messages.jsonl
    last_number: Mapped[int] = mapped_column(BigInteger, default=0)
    """The highest number that a row of this or an earlier version has; a new row gets a higher one. 0: look into the file."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class DatasetEdit(Record):
    """One change of a person's draft: what the next version of a data set shall have, not saved yet."""

    __tablename__ = "dataset_edits"
    __table_args__ = (Index("dataset_edits_of_a_person", "dataset", "owner", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    dataset: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    owner: Mapped[str] = mapped_column(ForeignKey("people.id"), default=LOCAL_PERSON)
    version: Mapped[int]  # that it is a change of
    edit: Mapped[dict[str, Any]]  # versions.edits.Edit as JSON
    why: Mapped[str] = mapped_column(String(300), default="")  # where it comes from, when not from the Data page
    note: Mapped[str] = mapped_column(String(300), default="")  # what was done to the same row meanwhile
    at: Mapped[datetime] = mapped_column(default=utc_now)


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
    gpus: Mapped[int] = mapped_column(default=1)
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
    """One slot that a run can hold: a GPU, or the CPU of a machine without one."""

    __tablename__ = "devices"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # "cpu", "cuda:0"
    name: Mapped[str] = mapped_column(String(100))
    memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    suite_run: Mapped[str | None] = mapped_column(ForeignKey("suite_runs.id", ondelete="SET NULL"))
    epoch: Mapped[int | None]
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)  # by the runner; its heartbeat


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

    model: Mapped["BaseModel"] = relationship(lazy="joined", viewonly=True)

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


class RememberedAnswer(Record):
    """What a write with an Idempotency-Key answered, so that the same request again is not done twice."""

    __tablename__ = "remembered_answers"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)  # sha256 of person, method, address and key
    owner: Mapped[str] = owner_column()
    request: Mapped[str] = mapped_column(
        String(64), server_default=""
    )  # fingerprint of what was sent; "" of an older studio
    status: Mapped[int]  # 0 while the first request is being worked on
    body: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
