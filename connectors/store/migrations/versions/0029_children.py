"""Children: whether the last that told a subject's age made a child of them, and as of when. Neither age nor birthday."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subject", sa.Column("is_child", sa.Boolean()), schema="intake")
    op.add_column("subject", sa.Column("age_told_at", sa.TIMESTAMP(timezone=True)), schema="intake")
    op.create_index(
        "ix_subject_child", "subject", ["contact_point_id"], schema="intake", postgresql_where=sa.text("is_child")
    )


def downgrade() -> None:
    op.drop_index("ix_subject_child", "subject", schema="intake")
    op.drop_column("subject", "age_told_at", schema="intake")
    op.drop_column("subject", "is_child", schema="intake")
