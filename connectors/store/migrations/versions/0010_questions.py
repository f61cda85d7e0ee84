"""The questions of each feed as they are known, and when a source told that it had erased a submission."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("submission", sa.Column("erased_at_source", postgresql.TIMESTAMP(timezone=True)), schema="intake")
    op.create_table(
        "question_map",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("known", postgresql.JSONB(), nullable=False),
        sa.Column("shown", postgresql.JSONB(), nullable=False),
        sa.Column("known_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("shown_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "feed", name=op.f("pk_question_map")),
        schema="intake",
    )


def downgrade() -> None:
    op.drop_table("question_map", schema="intake")
    op.drop_column("submission", "erased_at_source", schema="intake")
