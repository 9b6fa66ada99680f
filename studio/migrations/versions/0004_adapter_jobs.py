"""adapter jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('adapter_jobs',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('owner', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('settings', sa.JSON(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('cancel', sa.Boolean(), nullable=False),
    sa.Column('progress', sa.Double(), nullable=False),
    sa.Column('doing', sa.String(length=200), nullable=False),
    sa.Column('result', sa.JSON(), nullable=False),
    sa.Column('problem', sa.String(), nullable=True),
    sa.Column('fix', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(), nullable=False),
    sa.Column('started_at', sa.DateTime(), nullable=True),
    sa.Column('ended_at', sa.DateTime(), nullable=True),
    sa.ForeignKeyConstraint(['owner'], ['people.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('adapter_jobs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adapter_jobs_created_at'), ['created_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_adapter_jobs_owner'), ['owner'], unique=False)
        batch_op.create_index(batch_op.f('ix_adapter_jobs_state'), ['state'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('adapter_jobs', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_adapter_jobs_state'))
        batch_op.drop_index(batch_op.f('ix_adapter_jobs_owner'))
        batch_op.drop_index(batch_op.f('ix_adapter_jobs_created_at'))

    op.drop_table('adapter_jobs')
