"""The people's door: its tables, and the role that its web service acts as, which may do what acts and pages need."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'intake_preferences') THEN
        CREATE ROLE intake_preferences NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$
"""
_MEMBERSHIP = """
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'intake_preferences', 'USAGE') THEN
        GRANT intake_preferences TO CURRENT_USER;
    END IF;
END
$$
"""
_ACTS = "consent_event, consent_evidence, consent_wording, contact_point, subject, person"
_FOLDED = "consent_state, person_consent, person_purpose"
_OWN = "narrow_call, mailbox_proof, webhook_delivery, webhook_replay"
# What recording an act touches (connectors.store.acts), what the pages show, and the landing of a webhook's body.
GRANTS = (
    "usage on schema intake",
    "select on intake.alembic_version, intake.consent_void, intake.submission, intake.registration, intake.occasion",
    "select on intake.stated_value",
    "select, insert on {acts}",
    "update (address, version, next_end_at) on intake.contact_point",
    "update (has_ground, person_id) on intake.subject",
    "update (given_name, family_name, phone, organisation) on intake.person",
    "select, insert, delete on {folded}",
    "select (intent_id, contact_point_id, state, is_raising), update (state, finished_at) on intake.outbox_intent",
    "select, insert, update, delete on {own}",
    "select, insert on intake.person_request",
    "insert on intake.submission",
    "select, insert on intake.batch",
    "insert on intake.landing_key, intake.landing_payload",
    "execute on function intake.analyse_grown()",
)


def upgrade() -> None:
    op.execute(_ROLE)
    op.execute(_MEMBERSHIP)
    _tables()
    for grant in GRANTS:
        named = grant.format(acts=_qualified(_ACTS), folded=_qualified(_FOLDED), own=_qualified(_OWN))
        op.execute(f"grant {named} to intake_preferences")


def downgrade() -> None:
    for table in ("webhook_replay", "webhook_delivery", "person_request", "mailbox_proof", "narrow_call"):
        op.drop_table(table, schema="intake")
    op.execute("revoke all on all tables in schema intake from intake_preferences")
    op.execute("revoke usage on schema intake from intake_preferences")


def _qualified(names: str) -> str:
    return ", ".join(f"intake.{name}" for name in names.split(", "))


def _at(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column:
    default = sa.text("clock_timestamp()") if now else None
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _points_at(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["contact_point_id"],
        ["intake.contact_point.contact_point_id"],
        name=op.f(f"fk_{table}__contact_point_id__contact_point"),
        ondelete="CASCADE",
    )


def _tables() -> None:
    op.create_table(
        "narrow_call",
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        _at("called_at", now=True),
        _at("due_at", now=True),
        _at("leased_until", nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        _points_at("narrow_call"),
        sa.PrimaryKeyConstraint("contact_point_id", name=op.f("pk_narrow_call")),
        schema="intake",
    )
    op.create_index("ix_narrow_call_due", "narrow_call", ["due_at"], schema="intake")
    op.create_table(
        "mailbox_proof",
        sa.Column("proof_hash", postgresql.BYTEA(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("new_address", sa.Text(), nullable=True),
        _at("made_at", now=True),
        _at("expires_at"),
        _at("used_at", nullable=True),
        _points_at("mailbox_proof"),
        sa.PrimaryKeyConstraint("proof_hash", name=op.f("pk_mailbox_proof")),
        schema="intake",
    )
    op.create_index("ix_mailbox_proof_contact_point", "mailbox_proof", ["contact_point_id", "made_at"], schema="intake")
    op.create_index("ix_mailbox_proof_expiring", "mailbox_proof", ["expires_at"], schema="intake")
    op.create_table(
        "person_request",
        sa.Column("request_id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("new_address", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        _at("asked_at", now=True),
        _at("closed_at", nullable=True),
        sa.CheckConstraint("kind in ('export', 'erasure', 'move')", name=op.f("ck_person_request__kind")),
        sa.CheckConstraint("state in ('open', 'done', 'refused')", name=op.f("ck_person_request__state")),
        _points_at("person_request"),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_person_request")),
        schema="intake",
    )
    op.create_index("ix_person_request_contact_point", "person_request", ["contact_point_id"], schema="intake")
    is_open = sa.text("state = 'open'")
    op.create_index("ix_person_request_open", "person_request", ["asked_at"], schema="intake", postgresql_where=is_open)
    op.create_table(
        "webhook_delivery",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("submission_key", postgresql.BYTEA(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        _at("delivered_at", now=True),
        sa.PrimaryKeyConstraint("feed", "submission_key", "content_hash", name=op.f("pk_webhook_delivery")),
        schema="intake",
    )
    op.create_table(
        "webhook_replay",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("signature_hash", postgresql.BYTEA(), nullable=False),
        _at("seen_at", now=True),
        sa.PrimaryKeyConstraint("feed", "signature_hash", name=op.f("pk_webhook_replay")),
        schema="intake",
    )
    op.create_index("ix_webhook_replay_seen", "webhook_replay", ["seen_at"], schema="intake")
