"""The contacts that staff merged others into have an index: each plan, and each click, begins at them."""

from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index ix_crm_link_merged on intake.crm_link (row_id) where state = 'merged'")


def downgrade() -> None:
    op.execute("drop index intake.ix_crm_link_merged")
