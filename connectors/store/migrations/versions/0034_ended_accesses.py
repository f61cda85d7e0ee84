"""Retention may delete who had access, years after it ended."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("grant delete on intake.access_grant to intake_retention")


def downgrade() -> None:
    op.execute("revoke delete on intake.access_grant from intake_retention")
