"""Sign-ups that wait for their person to follow the link in the mailbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _at(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "pending_grant",
        sa.Column("confirmation_id", sa.UUID(), nullable=False),
        *(_text(name) for name in ("purpose", "topic", "source", "submission_id")),
        *(_text(n, nullable=True) for n in ("address", "address_key", "given_name", "family_name", "given_key")),
        *(_text(name) for name in ("wording_hash", "notice_version", "channel")),
        _at("occurred_at"),
        sa.Column("precision_s", sa.Integer(), nullable=False),
        _at("asked_at"),
        _at("expires_at"),
        _at("mailed_at", nullable=True),
        _at("confirmed_at", nullable=True),
        sa.PrimaryKeyConstraint("confirmation_id", "purpose", "topic", name=op.f("pk_pending_grant")),
        schema="intake",
    )
    op.create_index("ix_pending_grant_address", "pending_grant", ["address_key", "purpose"], schema="intake")
    op.create_index("ix_pending_grant_expiring", "pending_grant", ["expires_at"], schema="intake")
    # The page shows and completes a sign-up, and names the submission that it came by.
    op.execute("grant select, update on intake.pending_grant to intake_preferences")
    op.execute(
        "grant update (contact_point_id, subject_id, given_name, family_name) on intake.submission to intake_preferences"
    )
    op.execute("grant select, delete on intake.pending_grant to intake_retention")


def downgrade() -> None:
    op.execute(
        "revoke update (contact_point_id, subject_id, given_name, family_name) on intake.submission"
        " from intake_preferences"
    )
    op.drop_table("pending_grant", schema="intake")
