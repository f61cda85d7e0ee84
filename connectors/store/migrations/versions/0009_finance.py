"""Finance apart: a schema and a role of its own. No other role may so much as enter the schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'intake_finance') THEN
        CREATE ROLE intake_finance NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$
"""
_MEMBERSHIP = """
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'intake_finance', 'USAGE') THEN
        GRANT intake_finance TO CURRENT_USER;
    END IF;
END
$$
"""
_FIELDS = (
    *("name", "street_address", "postal_code", "city", "country", "business_id", "vat_id"),
    *("iban", "einvoice_address", "einvoice_operator"),
)


def upgrade() -> None:
    op.execute(_ROLE)
    op.execute(_MEMBERSHIP)
    op.execute("CREATE SCHEMA IF NOT EXISTS finance")
    _entries()
    _details()
    op.execute("GRANT USAGE ON SCHEMA finance, intake TO intake_finance")
    op.execute("GRANT USAGE, CREATE ON SCHEMA staging TO intake_finance")
    op.execute("GRANT SELECT ON intake.alembic_version TO intake_finance")
    op.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON finance.entry, finance.party, finance.refusal, finance.taken"
        " TO intake_finance"
    )
    op.execute("GRANT SELECT, INSERT ON finance.correction TO intake_finance")


def downgrade() -> None:
    op.execute("DROP SCHEMA finance CASCADE")
    op.execute("REVOKE SELECT ON intake.alembic_version FROM intake_finance")
    op.execute("REVOKE USAGE, CREATE ON SCHEMA staging FROM intake_finance")
    op.execute("REVOKE USAGE ON SCHEMA intake FROM intake_finance")


def _text(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _at(name: str, *, now: bool = False) -> sa.Column:
    default = sa.text("now()") if now else None
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=False, server_default=default)


def _entries() -> None:
    op.create_table(
        "entry",
        sa.Column("entry_id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        *(_text(name, nullable=False) for name in ("source", "feed", "record_id")),
        _text("kind"),
        _text("record_class", nullable=False),
        _text("reference"),
        sa.Column("amount", sa.Numeric(14, 2)),
        _text("currency", nullable=False),
        _text("payment_method"),
        _text("payment_status"),
        *(sa.Column(name, sa.Date(), nullable=False) for name in ("dated_on", "fiscal_year_end", "kept_until")),
        _text("content_hash", nullable=False),
        _at("received_at"),
        sa.CheckConstraint("record_class in ('voucher', 'books')", name=op.f("ck_entry__record_class")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_entry")),
        schema="finance",
    )
    op.create_index("ix_finance_entry_record", "entry", ["source", "record_id"], unique=True, schema="finance")
    op.create_index("ix_finance_entry_kept_until", "entry", ["kept_until"], schema="finance")


def _of_entry(table: str) -> tuple[sa.Column, sa.ForeignKeyConstraint]:
    name = op.f(f"fk_{table}__entry_id__entry")
    return sa.Column("entry_id", sa.UUID(), nullable=False), sa.ForeignKeyConstraint(
        ["entry_id"], ["finance.entry.entry_id"], name=name, ondelete="CASCADE"
    )


def _details() -> None:
    op.create_table(
        "party",
        *_of_entry("party"),
        _text("role", nullable=False),
        *(_text(name) for name in _FIELDS),
        sa.Column("corrected", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("role in ('payer', 'invoice_recipient', 'payee')", name=op.f("ck_party__role")),
        sa.PrimaryKeyConstraint("entry_id", "role", name=op.f("pk_party")),
        schema="finance",
    )
    op.create_table(
        "refusal",
        *_of_entry("refusal"),
        *(_text(name, nullable=False) for name in ("role", "field", "column_title", "fault", "written")),
        sa.PrimaryKeyConstraint("entry_id", "role", "field", name=op.f("pk_refusal")),
        schema="finance",
    )
    op.create_table(
        "correction",
        sa.Column("correction_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *_of_entry("correction"),
        *(_text(name, nullable=False) for name in ("role", "field")),
        *(_text(name) for name in ("before", "after")),
        *(_text(name, nullable=False) for name in ("reason", "corrected_by")),
        sa.Column("login", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        _at("corrected_at", now=True),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_correction")),
        schema="finance",
    )
    op.create_index("ix_finance_correction_entry", "correction", ["entry_id"], schema="finance")
    op.create_table(
        "taken",
        sa.Column("batch_id", sa.UUID(), nullable=False),
        _text("mapping_hash", nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("entries", "refusals")),
        _at("taken_at", now=True),
        sa.PrimaryKeyConstraint("batch_id", "mapping_hash", name=op.f("pk_taken")),
        schema="finance",
    )
