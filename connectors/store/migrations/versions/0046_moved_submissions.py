"""What told of somebody at the address before they moved on their page: sources go on to say it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "moved_submission",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("from_id", sa.UUID(), nullable=False),
        sa.Column("to_id", sa.UUID(), nullable=False),
        sa.Column("moved_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        _points_at("from_id"),
        _points_at("to_id"),
        sa.PrimaryKeyConstraint("source", "submission_id", "from_id", name=op.f("pk_moved_submission")),
        schema="intake",
    )
    for column in ("from_id", "to_id"):
        op.create_index(f"ix_moved_submission_{column}", "moved_submission", [column], schema="intake")
    op.execute("grant delete on intake.moved_submission to intake_retention")


def downgrade() -> None:
    op.drop_table("moved_submission", schema="intake")


def _points_at(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        ["intake.contact_point.contact_point_id"],
        name=op.f(f"fk_moved_submission__{column}__contact_point"),
        ondelete="CASCADE",
    )
