"""Addresses know whether what is of them is kept: the CRM's rows of those are not removed, and are once they are not."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_held = sa.Column("is_held", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("contact_point", is_held, schema="intake")
    op.create_index(
        "ix_contact_point_held",
        "contact_point",
        ["contact_point_id"],
        schema="intake",
        postgresql_where=sa.text("is_held"),
    )


def downgrade() -> None:
    op.drop_index("ix_contact_point_held", table_name="contact_point", schema="intake")
    op.drop_column("contact_point", "is_held", schema="intake")
