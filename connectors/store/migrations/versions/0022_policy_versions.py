"""The policies that were applied, each with what it changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_version",
        sa.Column("applied_no", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("policy_hash", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.Column("applied_by", sa.Text(), nullable=False),
        sa.Column("applied_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("applied_no", name=op.f("pk_policy_version")),
        schema="intake",
    )
    op.execute("revoke update, delete, truncate on intake.policy_version from intake_pipeline")
    op.execute("grant select on intake.policy_version to intake_retention, intake_preferences")


def downgrade() -> None:
    op.drop_table("policy_version", schema="intake")
