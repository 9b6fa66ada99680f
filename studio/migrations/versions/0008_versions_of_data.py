"""Versions of data sets: every data set that is there becomes the first version of itself, and runs have learned from that."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("datasets", "runs"):
        column = "version" if table == "datasets" else "dataset_version"
        with op.batch_alter_table(table) as change:
            change.add_column(sa.Column(column, sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "dataset_versions",
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("why", sa.String(length=300), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("heldout_rows", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["owner"], ["people.id"]),
        sa.PrimaryKeyConstraint("dataset", "number"),
    )
    op.create_index("ix_dataset_versions_owner", "dataset_versions", ["owner"])
    op.create_index("ix_dataset_versions_sha256", "dataset_versions", ["sha256"])
    op.create_table(
        "dataset_edits",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("edit", sa.JSON(), nullable=False),
        sa.Column("why", sa.String(length=300), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["owner"], ["people.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dataset_edits_of_a_person", "dataset_edits", ["dataset", "owner", "id"])
    op.execute(
        "INSERT INTO dataset_versions (dataset, number, owner, why, rows, heldout_rows, added, removed, changed,"
        " size_bytes, sha256, last_number, created_at)"
        " SELECT id, 1, owner, CASE source WHEN 'builtin' THEN 'Comes with the studio.' ELSE 'As it was brought.' END,"
        " rows, heldout_rows, 0, 0, 0, size_bytes, sha256, 0, created_at FROM datasets"
    )


def downgrade() -> None:
    op.drop_table("dataset_edits")
    op.drop_table("dataset_versions")
    with op.batch_alter_table("runs") as change:
        change.drop_column("dataset_version")
    with op.batch_alter_table("datasets") as change:
        change.drop_column("version")
