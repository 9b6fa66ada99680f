"""What request a remembered answer belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("remembered_answers") as table:
        table.add_column(sa.Column("request", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("remembered_answers") as table:
        table.drop_column("request")
