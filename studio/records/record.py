"""What all records share: the types of their columns, their times, their owner."""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Enum, ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator

from studio.clock import utc_now
from studio.folders import new_id
from studio.records.states import Delivery, JobState, ModelState, Status, Want

LOCAL_PERSON = "local"  # owns everything until accounts come


class UtcDateTime(TypeDecorator):
    """Times with their zone. SQLite forgets time zones, so they are stored as UTC and given back as UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


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
        **{values: stored_as_text(values) for values in (Status, Want, ModelState, JobState, Delivery)},
    }


def owner_column() -> Mapped[str]:
    return mapped_column(ForeignKey("people.id"), default=LOCAL_PERSON, index=True)


class Person(Record):
    __tablename__ = "people"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16), default="admin")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
