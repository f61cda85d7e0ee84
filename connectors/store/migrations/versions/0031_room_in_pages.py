"""Room in the pages of rows that are written again: a new version beside the old one needs no entry in any index, and
touches no second page.
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# The outbox and what is known of the CRM's rows have their room since 0011.
_REWRITTEN = ("contact_point", "subject", "person_consent", "consent_state", "person_purpose")


def upgrade() -> None:
    for table in _REWRITTEN:
        op.execute(f"alter table intake.{table} set (fillfactor = 85)")


def downgrade() -> None:
    for table in _REWRITTEN:
        op.execute(f"alter table intake.{table} reset (fillfactor)")
