"""One page of a list, with a cursor to the next. All lists of the studio answer in this shape."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from studio.errors import Invalid

Item = TypeVar("Item")
LIMIT = 50
MOST = 200


@dataclass(frozen=True)
class Listing(Generic[Item]):
    items: list[Item]
    next: str | None = None
    """Cursor of the next page; None at the end."""

    def shown_as(self, show: Callable[[Item], dict]) -> dict:
        return {"items": [show(item) for item in self.items], "next": self.next}


def listing(session: Session, query: Select, limit: int = LIMIT, cursor: str | None = None) -> Listing:
    """Rows of `query` (already ordered) from the cursor on. Raises Invalid for a cursor that we did not give out."""
    limit = max(1, min(limit, MOST))
    offset = _offset(cursor)
    rows = list(session.scalars(query.offset(offset).limit(limit + 1)))
    more = len(rows) > limit
    return Listing(rows[:limit], _cursor(offset + limit) if more else None)


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(offset).encode()).decode()


def _offset(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        offset = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, RecursionError):
        offset = None
    if not isinstance(offset, int) or not 0 <= offset < 2**53:
        raise Invalid(
            "This cursor is not one that the studio gave out.", "Leave it out to start from the first page.", "cursor"
        )
    return offset
