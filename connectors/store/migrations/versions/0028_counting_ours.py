"""How many contacts are ours is counted in an index: to decide the blast radius a day went through the rows themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_crm_row_ours", "crm_row", ["table_name"], schema="intake", postgresql_where=sa.text("is_ours"))


def downgrade() -> None:
    op.drop_index("ix_crm_row_ours", table_name="crm_row", schema="intake")
