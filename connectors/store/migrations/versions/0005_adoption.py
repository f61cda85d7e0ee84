"""Rows that the CRM had before us: what we wrote of each, who is in doubt, and when the rest was opted out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "crm_row",
        sa.Column("written", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        schema="intake",
    )
    op.execute("UPDATE intake.crm_row SET written = columns WHERE is_ours")
    op.create_table(
        "crm_review",
        sa.Column("review_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("persons", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("first_seen_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('open', 'linked', 'new', 'ignored', 'settled')", name=op.f("ck_crm_review__state")
        ),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["intake.contact_point.contact_point_id"],
            name=op.f("fk_crm_review__contact_point_id__contact_point"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_crm_review")),
        schema="intake",
    )
    op.create_index("ix_crm_review_one", "crm_review", ["contact_point_id", "row_id"], unique=True, schema="intake")
    op.create_table(
        "crm_cutover",
        sa.Column("cutover_id", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("cutover_id", name=op.f("pk_crm_cutover")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("crm_cutover", schema="intake")
    op.drop_table("crm_review", schema="intake")
    op.drop_column("crm_row", "written", schema="intake")
