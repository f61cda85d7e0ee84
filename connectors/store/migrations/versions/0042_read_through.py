"""Through which day each source has been read without a gap, so that the night after an outage begins where it began."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "read_through",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("through_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_read_through")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("read_through", schema="intake")
