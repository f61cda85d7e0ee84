"""The version that a row had just before a correction of it was sent: where the answer is lost, it tells what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox_intent", sa.Column("sent_etag", sa.Text()), schema="intake")


def downgrade() -> None:
    op.drop_column("outbox_intent", "sent_etag", schema="intake")
