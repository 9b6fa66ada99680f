"""The verdict on a run and on its adapter, in one word."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("runs", "adapters"):
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("verdict", sa.String(length=16), nullable=True))


def downgrade() -> None:
    for name in ("runs", "adapters"):
        with op.batch_alter_table(name) as table:
            table.drop_column("verdict")
