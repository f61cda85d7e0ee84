"""Undo: which reading brought each row, what it overwrote, which events count no more; and images of writes to the CRM."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_READ_TABLES = ("submission", "registration", "stated_value", "consent_event")
_STATES = "state in ('landed', 'stopped', 'applied'{})"


def upgrade() -> None:
    _states_of_batches(", 'undone'")
    for table in _READ_TABLES:
        op.add_column(table, sa.Column("reading_id", sa.UUID()), schema="intake")
        op.create_index(f"ix_{table}_reading", table, ["reading_id"], schema="intake")
    op.add_column("consent_event", sa.Column("base_key", postgresql.BYTEA()), schema="intake")
    op.add_column("outbox_intent", sa.Column("before", postgresql.JSONB()), schema="intake")
    op.add_column("outbox_intent", _at("purged_at", nullable=True), schema="intake")
    _index_of_rows("ix_outbox_claimed", "ix_outbox_row", "state in ('pending', 'claimed')")
    _readings()
    _images()
    _voids()


def downgrade() -> None:
    for table in ("consent_void", "row_image", "undone_reading", "reading"):
        op.drop_table(table, schema="intake")
    _index_of_rows("ix_outbox_row", "ix_outbox_claimed", "state = 'claimed'")
    for column in ("purged_at", "before"):
        op.drop_column("outbox_intent", column, schema="intake")
    op.drop_column("consent_event", "base_key", schema="intake")
    for table in _READ_TABLES:
        op.drop_index(f"ix_{table}_reading", table, schema="intake")
        op.drop_column(table, "reading_id", schema="intake")
    op.execute("update intake.batch set state = 'applied' where state = 'undone'")
    _states_of_batches("")


def _at(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable)


def _states_of_batches(more: str) -> None:
    op.drop_constraint(op.f("ck_batch__state"), "batch", schema="intake", type_="check")
    op.create_check_constraint(op.f("ck_batch__state"), "batch", _STATES.format(more), schema="intake")


def _index_of_rows(old: str, new: str, where: str) -> None:
    op.drop_index(old, table_name="outbox_intent", schema="intake")
    columns = ["table_name", "row_id"]
    op.create_index(new, "outbox_intent", columns, schema="intake", postgresql_where=sa.text(where))


def _readings() -> None:
    op.create_table(
        "reading",
        sa.Column("reading_id", sa.UUID(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("mapping_hash", sa.Text(), nullable=False),
        sa.Column("batch_ids", postgresql.ARRAY(sa.UUID()), nullable=False),
        _at("read_at"),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_reading")),
        schema="intake",
    )
    op.create_index("ix_reading_run", "reading", ["run_id"], schema="intake")
    op.create_table(
        "undone_reading",
        sa.Column("reading_id", sa.UUID(), nullable=False),
        sa.Column("undo_run_id", sa.UUID(), nullable=False),
        sa.Column("undone_by", sa.Text(), nullable=False),
        _at("undone_at"),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["intake.reading.reading_id"], name=op.f("fk_undone_reading__reading_id__reading")
        ),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_undone_reading")),
        schema="intake",
    )


def _images() -> None:
    op.create_table(
        "row_image",
        sa.Column("image_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("reading_id", sa.UUID(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=True),
        sa.Column("rows", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        _at("kept_at"),
        sa.CheckConstraint(
            "table_name in ('submission', 'registration', 'stated_value')", name=op.f("ck_row_image__table_name")
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_row_image")),
        schema="intake",
    )
    once = ["source", "submission_id", "table_name", "reading_id"]
    op.create_index("ix_row_image_once", "row_image", once, unique=True, schema="intake")
    op.create_index("ix_row_image_contact_point", "row_image", ["contact_point_id"], schema="intake")
    op.create_index("ix_row_image_kept", "row_image", ["kept_at"], schema="intake")


def _voids() -> None:
    op.create_table(
        "consent_void",
        sa.Column("event_key", postgresql.BYTEA(), nullable=False),
        sa.Column("base_key", postgresql.BYTEA(), nullable=False),
        sa.Column("reading_id", sa.UUID(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=True),
        sa.Column("undo_run_id", sa.UUID(), nullable=False),
        _at("voided_at"),
        sa.PrimaryKeyConstraint("event_key", name=op.f("pk_consent_void")),
        schema="intake",
    )
    op.create_index("ix_consent_void_base", "consent_void", ["base_key"], schema="intake")
    op.execute("revoke update, delete, truncate on intake.consent_void from intake_pipeline")
    op.execute("grant select, delete on intake.consent_void to intake_retention")
