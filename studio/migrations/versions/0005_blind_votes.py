"""Blind comparisons and the votes on them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blind_comparisons",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("team", sa.Boolean(), nullable=False),
        sa.Column("base_model", sa.String(length=32), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("turns", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["base_model"], ["base_models.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["owner"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("blind_comparisons") as table:
        table.create_index(table.f("ix_blind_comparisons_base_model"), ["base_model"])
        table.create_index(table.f("ix_blind_comparisons_created_at"), ["created_at"])
        table.create_index(table.f("ix_blind_comparisons_owner"), ["owner"])
    op.create_table(
        "votes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("comparison", sa.String(length=32), nullable=False),
        sa.Column("person", sa.String(length=32), nullable=False),
        sa.Column("choice", sa.String(length=8), nullable=False),
        sa.Column("revealed_at", sa.DateTime(), nullable=True),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["comparison"], ["blind_comparisons.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("comparison", "person", name="votes_once"),
    )
    with op.batch_alter_table("votes") as table:
        table.create_index(table.f("ix_votes_comparison"), ["comparison"])
        table.create_index(table.f("ix_votes_person"), ["person"])


def downgrade() -> None:
    op.drop_table("votes")
    op.drop_table("blind_comparisons")
