"""kinds of data: what a data set holds"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('datasets', schema=None) as batch_op:
        # Everything that was brought before is conversations
        batch_op.add_column(sa.Column('kind', sa.String(length=16), server_default='conversations', nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('datasets', schema=None) as batch_op:
        batch_op.drop_column('kind')
