"""Alerts: which breaches somebody was told of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now = sa.text("clock_timestamp()")
    op.create_table(
        "alert",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("breach", "sentence")),
        sa.Column("told_at", postgresql.TIMESTAMP(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("breach", name=op.f("pk_alert")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("alert", schema="intake")
