"""Legal holds, restrictions, and the requests of data subjects with their deadlines."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KINDS = "kind in ('access', 'erasure', 'rectification', 'restriction', 'objection', 'portability')"
_TABLES = ("legal_hold", "data_request", "restriction")


def upgrade() -> None:
    _holds()
    _requests()
    _restrictions()
    for table in _TABLES:
        op.execute(f"grant select, insert, update, delete on intake.{table} to intake_retention")


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema="intake")


def _at(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _holds() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("hold_id", sa.UUID(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=True),
        sa.Column("occasion_pk", sa.UUID(), nullable=True),
        sa.Column("until_on", sa.Date(), nullable=True),
        _text("reason"),
        _text("held_by"),
        _at("made_at"),
        _text("released_by", nullable=True),
        _at("released_at", nullable=True),
        sa.CheckConstraint("(person_id is null) <> (occasion_pk is null)", name=op.f("ck_legal_hold__one_thing")),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_legal_hold")),
        schema="intake",
    )
    standing = sa.text("released_at is null")
    columns = ["person_id", "occasion_pk"]
    op.create_index("ix_legal_hold_standing", "legal_hold", columns, schema="intake", postgresql_where=standing)


def _requests() -> None:
    op.create_table(
        "data_request",
        sa.Column("request_id", sa.UUID(), nullable=False),
        _text("kind"),
        sa.Column("contact_point_id", sa.UUID(), nullable=True),
        sa.Column("person_id", sa.UUID(), nullable=True),
        _text("organiser_unit", nullable=True),
        _text("organiser_contact", nullable=True),
        _at("asked_at"),
        _at("due_at"),
        _text("taken_by"),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        _text("closed_by", nullable=True),
        _at("closed_at", nullable=True),
        _text("outcome", nullable=True),
        sa.CheckConstraint(_KINDS, name=op.f("ck_data_request__kind")),
        sa.CheckConstraint("state in ('open', 'done', 'refused')", name=op.f("ck_data_request__state")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_data_request")),
        schema="intake",
    )
    open_ones = sa.text("state = 'open'")
    op.create_index("ix_data_request_open", "data_request", ["due_at"], schema="intake", postgresql_where=open_ones)
    op.create_index("ix_data_request_contact_point", "data_request", ["contact_point_id"], schema="intake")


def _restrictions() -> None:
    op.create_table(
        "restriction",
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        _text("reason"),
        _text("restricted_by"),
        _at("restricted_at"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_restriction")),
        schema="intake",
    )
    op.create_index("ix_restriction_contact_point", "restriction", ["contact_point_id"], schema="intake")
