"""Erasure: tombstones, erasures with their place in the journal, and what the role of retention may do."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_LEDGER = "intake.consent_event, intake.consent_void"
_CHAIN = "intake.ledger_group, intake.ledger_head"
_KEPT = "intake.erasure, intake.tombstone"


def upgrade() -> None:
    _erasures()
    _tombstones()
    _rows()
    _grants()


def downgrade() -> None:
    for table in ("erasure_row", "tombstone", "erasure"):
        op.drop_table(table, schema="intake")
    op.execute("alter default privileges in schema intake revoke all on tables from intake_retention")
    op.execute("alter default privileges in schema intake revoke all on sequences from intake_retention")
    op.execute("revoke all on all sequences in schema intake from intake_retention")
    op.execute("revoke execute on function intake.analyse_grown() from intake_retention")
    op.execute("revoke all on all tables in schema intake from intake_retention")
    op.execute("grant select on intake.alembic_version to intake_retention")
    op.execute("grant select, delete on intake.consent_event, intake.consent_evidence to intake_retention")
    op.execute("grant select, delete on intake.consent_void to intake_retention")
    op.execute(f"grant select on {_CHAIN} to intake_retention")


def _at(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable)


def _json(name: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False)


def _erasures() -> None:
    op.create_table(
        "erasure",
        sa.Column("erasure_id", sa.UUID(), nullable=False),
        _at("erased_at"),
        sa.Column("erased_by", sa.Text(), nullable=False),
        sa.Column("entry_hash", sa.Text(), nullable=False),
        _json("counts"),
        _at("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("erasure_id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("entry_hash", name=op.f("uq_erasure__entry_hash")),
        schema="intake",
    )


def _tombstones() -> None:
    op.create_table(
        "tombstone",
        sa.Column("tombstone_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_hash", postgresql.BYTEA(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        _at("erased_at"),
        sa.Column("erasure_id", sa.UUID(), nullable=False),
        sa.CheckConstraint("kind in ('address', 'subject', 'submission', 'crm_row')", name=op.f("ck_tombstone__kind")),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["intake.erasure.erasure_id"], name=op.f("fk_tombstone__erasure_id__erasure")
        ),
        sa.PrimaryKeyConstraint("tombstone_id", name=op.f("pk_tombstone")),
        schema="intake",
    )
    op.create_index("ix_tombstone_hash", "tombstone", ["key_hash", "kind"], schema="intake")
    op.create_index("ix_tombstone_key", "tombstone", ["key_id"], schema="intake")
    op.create_index("ix_tombstone_erasure", "tombstone", ["erasure_id"], schema="intake")


def _rows() -> None:
    op.create_table(
        "erasure_row",
        sa.Column("erasure_id", sa.UUID(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        _json("written"),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        _at("finished_at", nullable=True),
        sa.CheckConstraint("state in ('open', 'gone', 'cleared')", name=op.f("ck_erasure_row__state")),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["intake.erasure.erasure_id"], name=op.f("fk_erasure_row__erasure_id__erasure")
        ),
        sa.PrimaryKeyConstraint("erasure_id", "table_name", "row_id", name=op.f("pk_erasure_row")),
        schema="intake",
    )
    op.create_index(
        "ix_erasure_row_open",
        "erasure_row",
        ["erasure_id"],
        schema="intake",
        postgresql_where=sa.text("state = 'open'"),
    )


def _grants() -> None:
    """Retention and erasure delete by their own role; the runs may hash a tombstone anew, and neither add nor remove one."""
    op.execute("grant select, insert, update, delete on all tables in schema intake to intake_retention")
    op.execute(f"revoke insert, update on {_LEDGER} from intake_retention")
    op.execute(f"revoke insert, update, delete on {_CHAIN} from intake_retention")
    op.execute("revoke insert, update, delete on intake.alembic_version from intake_retention")
    op.execute("grant usage, select on all sequences in schema intake to intake_retention")
    op.execute("grant execute on function intake.analyse_grown() to intake_retention")
    op.execute("alter default privileges in schema intake grant select on tables to intake_retention")
    op.execute("alter default privileges in schema intake grant usage, select on sequences to intake_retention")
    op.execute(f"revoke insert, update, delete, truncate on {_KEPT} from intake_pipeline")
    op.execute("grant update (key_hash, key_id) on intake.tombstone to intake_pipeline")
    op.execute(f"revoke delete, truncate on {_KEPT} from intake_retention")
