"""What records state, found by address: for one person's export and erasure among many."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_stated_value_contact_point", "stated_value", ["contact_point_id"], schema="intake")


def downgrade() -> None:
    op.drop_index("ix_stated_value_contact_point", "stated_value", schema="intake")
