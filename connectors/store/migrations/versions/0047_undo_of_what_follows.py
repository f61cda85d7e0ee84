"""What an undo has to know: which reading asked for a link, which rows a reading was of, which batch is news once more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pending_grant", sa.Column("reading_id", sa.UUID()), schema="intake")
    op.create_index("ix_pending_grant_reading", "pending_grant", ["reading_id"], schema="intake")
    op.add_column("reading", sa.Column("row_nos", postgresql.ARRAY(sa.Integer())), schema="intake")
    comes_anew = sa.Column("comes_anew", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("batch", comes_anew, schema="intake")


def downgrade() -> None:
    op.drop_column("batch", "comes_anew", schema="intake")
    op.drop_column("reading", "row_nos", schema="intake")
    op.drop_index("ix_pending_grant_reading", "pending_grant", schema="intake")
    op.drop_column("pending_grant", "reading_id", schema="intake")
