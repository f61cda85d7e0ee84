"""Statistics of participants: counts without anybody in them, and what was published, which nobody changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "participation",
        *(_text(name) for name in ("source", "occasion_id", "region", "name", "kind", "topic")),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("participants", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "occasion_id", "region", name=op.f("pk_participation")),
        schema="intake",
    )
    op.create_table(
        "statistic_period",
        _text("period"),
        sa.Column("smallest_cell", sa.Integer(), nullable=False),
        _text("published_by"),
        sa.Column("published_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_statistic_period")),
        schema="intake",
    )
    op.create_table(
        "statistic_cell",
        *(_text(name) for name in ("period", "dimension", "value")),
        sa.Column("participants", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["period"], ["intake.statistic_period.period"], name=op.f("fk_statistic_cell__period__statistic_period")
        ),
        sa.PrimaryKeyConstraint("period", "dimension", "value", name=op.f("pk_statistic_cell")),
        schema="intake",
    )
    # What was published stays as it was published: a second version could be subtracted from the first.
    op.execute("revoke update, delete, truncate on intake.statistic_period, intake.statistic_cell from intake_pipeline")
    op.execute("grant select, insert, delete on intake.participation to intake_retention")
    op.execute("grant select on intake.statistic_period to intake_retention")


def downgrade() -> None:
    for table in ("statistic_cell", "statistic_period", "participation"):
        op.drop_table(table, schema="intake")
