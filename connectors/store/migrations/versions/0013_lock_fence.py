"""The fence of named locks: the token of the last holder of each."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lock_fence",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lock_fence")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("lock_fence", schema="intake")
