"""The evidence of a submission is found by the submission's id: a later version of it lowers wherever it once agreed."""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_consent_evidence_submission", "consent_evidence", ["submission_id"], schema="intake")


def downgrade() -> None:
    op.drop_index("ix_consent_evidence_submission", "consent_evidence", schema="intake")
