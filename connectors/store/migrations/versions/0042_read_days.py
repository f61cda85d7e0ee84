"""Which days each source has been read of, so that the night after an outage begins where it began."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import DATEMULTIRANGE

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "read_days",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("days", DATEMULTIRANGE(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_read_days")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("read_days", schema="intake")
