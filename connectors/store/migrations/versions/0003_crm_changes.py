"""What is read back by change tracking: delta links, edits made in the CRM, rows not ours, and what was found there.

The times up to which tables were read so far say nothing to change tracking: the next read-back reads them in full.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM intake.crm_cursor")
    op.alter_column("crm_cursor", "position", new_column_name="delta_link", schema="intake")
    op.add_column("crm_cursor", sa.Column("selected", sa.Text(), nullable=False), schema="intake")
    op.add_column(
        "crm_row",
        sa.Column("edits", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        schema="intake",
    )
    op.add_column(
        "contact_point", sa.Column("sought_at", postgresql.TIMESTAMP(timezone=True), nullable=True), schema="intake"
    )
    op.create_table(
        "crm_finding",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("found_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "table_name", "row_id", name=op.f("pk_crm_finding")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("crm_finding", schema="intake")
    op.drop_column("contact_point", "sought_at", schema="intake")
    op.drop_column("crm_row", "edits", schema="intake")
    op.drop_column("crm_cursor", "selected", schema="intake")
    op.execute("DELETE FROM intake.crm_cursor")
    op.alter_column("crm_cursor", "delta_link", new_column_name="position", schema="intake")
