"""Addresses off the allow list of which only what lowers was planned: once they are listed, they are planned anew."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("awaits_listing", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("contact_point", column, schema="intake")
    op.create_index(
        "ix_contact_point_awaiting",
        "contact_point",
        ["contact_point_id"],
        schema="intake",
        postgresql_where=sa.text("awaits_listing"),
    )


def downgrade() -> None:
    op.drop_column("contact_point", "awaits_listing", schema="intake")
