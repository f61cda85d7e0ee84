"""Where a person's contact in the CRM is, if not under the person's own id: adopted, merged into another, or gone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crm_link",
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("state in ('adopted', 'merged', 'gone')", name=op.f("ck_crm_link__state")),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["intake.person.person_id"],
            name=op.f("fk_crm_link__person_id__person"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_crm_link")),
        schema="intake",
    )
    op.create_index("ix_crm_link_row", "crm_link", ["row_id"], unique=False, schema="intake")


def downgrade() -> None:
    op.drop_table("crm_link", schema="intake")
