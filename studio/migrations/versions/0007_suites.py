"""Suites of prompts, and their runs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    suites()
    suite_runs()
    with op.batch_alter_table("devices") as table:
        table.add_column(sa.Column("suite_run", sa.String(length=32), nullable=True))
        table.create_foreign_key("devices_suite_run", "suite_runs", ["suite_run"], ["id"], ondelete="SET NULL")


def suites() -> None:
    op.create_table(
        "suites",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("about", sa.String(length=500), nullable=False),
        sa.Column("dataset", sa.String(length=32), nullable=True),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=True),
        sa.Column("after_training", sa.Boolean(), nullable=False),
        sa.Column("prompts", sa.JSON(), nullable=False),
        sa.Column("prompt_count", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_suites_owner"), "suites", ["owner"])
    op.create_index(op.f("ix_suites_created_at"), "suites", ["created_at"])


def suite_runs() -> None:
    op.create_table(
        "suite_runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("suite", sa.String(length=32), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("prompts", sa.Integer(), nullable=False),
        sa.Column("base_model", sa.String(length=32), nullable=False),
        sa.Column("training", sa.String(length=32), nullable=True),
        sa.Column("neutral", sa.Boolean(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("doing", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("fix", sa.String(), nullable=True),
        sa.Column("queued_at", sa.DateTime(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["base_model"], ["base_models.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["owner"], ["people.id"]),
        sa.ForeignKeyConstraint(["suite"], ["suites.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["training"], ["runs.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in ("owner", "suite", "base_model", "training", "state", "queued_at", "created_at"):
        op.create_index(op.f(f"ix_suite_runs_{name}"), "suite_runs", [name])


def downgrade() -> None:
    with op.batch_alter_table("devices") as table:
        table.drop_constraint("devices_suite_run", type_="foreignkey")
        table.drop_column("suite_run")
    op.drop_table("suite_runs")
    op.drop_table("suites")
