"""Undo of who was told to be a child: which reading told an age, and what it overwrote."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_TABLES = "table_name in ('submission', 'registration', 'stated_value', 'occasion'{})"


def upgrade() -> None:
    op.add_column("subject", sa.Column("age_reading_id", sa.UUID()), schema="intake")
    op.create_index(
        "ix_subject_age_reading",
        "subject",
        ["age_reading_id"],
        schema="intake",
        postgresql_where=sa.text("age_reading_id is not null"),
    )
    _images_of(", 'subject'")


def downgrade() -> None:
    op.execute("delete from intake.row_image where table_name = 'subject'")
    _images_of("")
    op.drop_index("ix_subject_age_reading", "subject", schema="intake")
    op.drop_column("subject", "age_reading_id", schema="intake")


def _images_of(more: str) -> None:
    op.drop_constraint(op.f("ck_row_image__table_name"), "row_image", schema="intake", type_="check")
    op.create_check_constraint(op.f("ck_row_image__table_name"), "row_image", _TABLES.format(more), schema="intake")
