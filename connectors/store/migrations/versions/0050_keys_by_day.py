"""Keys of consent events begin with their day now: those without one are found in an index that grows no more."""

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create index ix_consent_event_bare_key on intake.consent_event (event_key) where octet_length(event_key) = 32"
    )


def downgrade() -> None:
    op.execute("drop index intake.ix_consent_event_bare_key")
