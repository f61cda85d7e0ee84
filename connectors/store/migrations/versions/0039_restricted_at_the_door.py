"""The consent provider sees for which addresses processing is restricted, and nothing of why."""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_SEEN = "select (contact_point_id) on intake.restriction"


def upgrade() -> None:
    op.execute(f"grant {_SEEN} to intake_preferences")


def downgrade() -> None:
    op.execute(f"revoke {_SEEN} from intake_preferences")
