"""Which organisation of the CRM the store belongs to, so that nothing is read from another one."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crm_organisation",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("organisation_id", sa.UUID(), nullable=False),
        sa.CheckConstraint("is_only", name=op.f("ck_crm_organisation_one")),
        sa.PrimaryKeyConstraint("is_only", name=op.f("pk_crm_organisation")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("crm_organisation", schema="intake")
