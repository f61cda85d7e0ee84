"""The pages change a folded state where it is, instead of taking it out and putting it in again."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_CHANGED = (
    "update (state) on intake.consent_state",
    "update (state, granted_at) on intake.person_consent",
    "update (begins_at, ends_at) on intake.person_purpose",
)


def upgrade() -> None:
    for grant in _CHANGED:
        op.execute(f"grant {grant} to intake_preferences")


def downgrade() -> None:
    for grant in _CHANGED:
        op.execute(f"revoke {grant} from intake_preferences")
