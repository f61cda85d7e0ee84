"""When a request was given up for lost: the CRM may carry it out later still, and the row is looked at again then."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox_intent", sa.Column("lost_at", sa.TIMESTAMP(timezone=True)), schema="intake")
    op.execute("create index ix_outbox_lost on intake.outbox_intent (lost_at) where lost_at is not null")


def downgrade() -> None:
    op.execute("drop index intake.ix_outbox_lost")
    op.drop_column("outbox_intent", "lost_at", schema="intake")
