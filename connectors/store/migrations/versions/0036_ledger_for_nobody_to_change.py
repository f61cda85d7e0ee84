"""Nobody takes an event or a voiding out of the ledger; evidence goes by retention alone, and a wording never changes."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_LEDGER = "intake.consent_event, intake.consent_void"
_WRITTEN = "intake.consent_evidence, intake.consent_wording"


def upgrade() -> None:
    op.execute(f"revoke delete, truncate on {_LEDGER} from intake_retention")
    op.execute(f"revoke update, delete, truncate on {_WRITTEN} from intake_pipeline")
    op.execute(f"revoke insert, update, truncate on {_WRITTEN} from intake_retention")
    op.execute("revoke delete on intake.consent_wording from intake_retention")


def downgrade() -> None:
    op.execute(f"grant delete on {_LEDGER} to intake_retention")
    op.execute(f"grant update, delete on {_WRITTEN} to intake_pipeline")
    op.execute(f"grant insert, update, delete on {_WRITTEN} to intake_retention")
