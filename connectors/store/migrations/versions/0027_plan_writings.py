"""Intents are written down while their plan is made, before its name is known: the plan names its writings instead."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("outbox_intent", "plan_id", new_column_name="writing", schema="intake")
    written = sa.Column("writings", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False)
    op.add_column("plan", written, schema="intake")
    op.execute("update intake.plan set writings = array[plan_id]")


def downgrade() -> None:
    op.drop_column("plan", "writings", schema="intake")
    op.alter_column("outbox_intent", "writing", new_column_name="plan_id", schema="intake")
