"""The page behind the mail of a double opt-in: what the role of the door needs to confirm a sign-up, and what acts ask."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_NAMED = "contact_point_id, subject_id, given_name, family_name"


def upgrade() -> None:
    op.execute("grant select, update on intake.pending_grant to intake_preferences")
    op.execute("grant select on intake.tombstone to intake_preferences")
    op.execute(f"grant update ({_NAMED}) on intake.submission to intake_preferences")


def downgrade() -> None:
    op.execute("revoke select, update on intake.pending_grant from intake_preferences")
    op.execute("revoke select on intake.tombstone from intake_preferences")
    op.execute(f"revoke update ({_NAMED}) on intake.submission from intake_preferences")
