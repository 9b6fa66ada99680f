"""Run by Alembic: applies the versions on the connection that studio.database hands over."""

from alembic import context
from sqlalchemy import Enum

from studio.records import Record, UtcDateTime


def render_item(kind: str, item: object, _context) -> str | bool:
    """Write plain column types into a version, so that it never imports the models of a later day."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime()"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Record.metadata,
    render_as_batch=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
