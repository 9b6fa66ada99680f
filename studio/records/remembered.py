"""What was answered to writes that may be sent again."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from studio.records.record import Record, owner_column, utc_now


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
