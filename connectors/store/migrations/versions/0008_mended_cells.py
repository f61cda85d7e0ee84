"""Mended cells, and who closed a quarantine entry, when and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("quarantine", sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True)), schema="intake")
    op.add_column("quarantine", sa.Column("closed_by", sa.Text()), schema="intake")
    op.add_column("quarantine", sa.Column("close_reason", sa.Text()), schema="intake")
    op.create_table(
        "mended_cell",
        sa.Column("edit_no", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("column_title", sa.Text(), nullable=False),
        sa.Column("ciphertext", postgresql.BYTEA(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("mended_by", sa.Text(), nullable=False),
        sa.Column("mended_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["intake.batch.batch_id"], name=op.f("fk_mended_cell__batch_id__batch"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("edit_no", name=op.f("pk_mended_cell")),
        schema="intake",
    )
    op.create_index("ix_mended_cell_row", "mended_cell", ["batch_id", "row_no"], schema="intake")


def downgrade() -> None:
    op.drop_table("mended_cell", schema="intake")
    for column in ("close_reason", "closed_by", "closed_at"):
        op.drop_column("quarantine", column, schema="intake")
