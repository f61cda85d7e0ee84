"""Statistics: which courses and events were counted in a month that is published."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# A published course or event bears its id in brackets at the end of its name.
_PUBLISHED_BEFORE = """
insert into intake.statistic_occasion (source, occasion_id, period)
select o.source, o.occasion_id, min(c.period) from intake.occasion o
join intake.statistic_cell c
    on c.dimension = 'occasion' and right(c.value, length(o.occasion_id) + 3) = ' (' || o.occasion_id || ')'
group by o.source, o.occasion_id
"""


def upgrade() -> None:
    op.create_table(
        "statistic_occasion",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("source", "occasion_id", "period")),
        sa.ForeignKeyConstraint(
            ["period"], ["intake.statistic_period.period"], name=op.f("fk_statistic_occasion__period__statistic_period")
        ),
        sa.PrimaryKeyConstraint("source", "occasion_id", name=op.f("pk_statistic_occasion")),
        schema="intake",
    )
    op.execute(_PUBLISHED_BEFORE)
    op.execute("revoke update, delete, truncate on intake.statistic_occasion from intake_pipeline")
    op.execute("grant select on intake.statistic_occasion to intake_retention")


def downgrade() -> None:
    op.drop_table("statistic_occasion", schema="intake")
