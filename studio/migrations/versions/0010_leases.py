"""What a device has room for, who else is on it, and where a run stands in the line."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("line_at", sa.DateTime(), nullable=True))
        table.add_column(sa.Column("reserved_at", sa.DateTime(), nullable=True))
        table.add_column(sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("planned_seconds", sa.Double(), nullable=True))
    with op.batch_alter_table("devices") as table:
        table.add_column(sa.Column("visible", sa.String(length=64), nullable=False, server_default=""))
        table.add_column(sa.Column("foreign_bytes", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("trouble", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("chat", sa.String(length=32), nullable=True))
    op.create_table(
        "chat_waits",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("chat_waits")
    with op.batch_alter_table("devices") as table:
        for name in ("visible", "foreign_bytes", "trouble", "chat"):
            table.drop_column(name)
    with op.batch_alter_table("runs") as table:
        for name in ("line_at", "reserved_at", "memory_bytes", "planned_seconds"):
            table.drop_column(name)
