"""The writes of a row are looked up whether open or not: an index of the open ones alone was taken for empty, and gone
through as a whole for each row, where the outbox had last been counted with nothing open in it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_OPEN = "finished_at is null"


def upgrade() -> None:
    op.drop_index("ix_outbox_row", table_name="outbox_intent", schema="intake")
    op.create_index("ix_outbox_row", "outbox_intent", ["row_id"], schema="intake")


def downgrade() -> None:
    op.drop_index("ix_outbox_row", table_name="outbox_intent", schema="intake")
    op.create_index("ix_outbox_row", "outbox_intent", ["row_id"], schema="intake", postgresql_where=sa.text(_OPEN))
