"""Undo of courses and events: which reading brought their names and times, and what it overwrote."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TABLES = "table_name in ('submission', 'registration', 'stated_value'{})"


def upgrade() -> None:
    op.add_column("occasion", sa.Column("reading_id", sa.UUID()), schema="intake")
    op.create_index("ix_occasion_reading", "occasion", ["reading_id"], schema="intake")
    _images_of(", 'occasion'")


def downgrade() -> None:
    op.execute("delete from intake.row_image where table_name = 'occasion'")
    _images_of("")
    op.drop_index("ix_occasion_reading", "occasion", schema="intake")
    op.drop_column("occasion", "reading_id", schema="intake")


def _images_of(more: str) -> None:
    op.drop_constraint(op.f("ck_row_image__table_name"), "row_image", schema="intake", type_="check")
    op.create_check_constraint(op.f("ck_row_image__table_name"), "row_image", _TABLES.format(more), schema="intake")
