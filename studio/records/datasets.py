"""Data sets, their versions, and what is drafted for the next one."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from studio.folders import new_id
from studio.records.record import LOCAL_PERSON, Record, owner_column, utc_now


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
