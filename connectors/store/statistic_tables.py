"""Statistics: counts that tell of nobody. `participation` has no id and no name of a person; what is published has cells only.

participation      how many took part in a course or event from a region; gathered while the registrations are there, let go
                   once its month is published; final once registrations it was counted from have gone
statistic_period   a month that was published: once, by whom, with which smallest cell
statistic_occasion a course or event that was counted in a published month, and is counted in no other
statistic_cell     what was published of it; null: withheld, because it or another cell would tell of fewer
"""

from sqlalchemy import Boolean, Column, Date, ForeignKey, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from connectors.store.metadata import METADATA

PARTICIPATION = Table(
    "participation",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("occasion_id", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("month", Date, nullable=False),
    Column("participants", Integer, nullable=False),
    Column("is_final", Boolean, nullable=False, server_default=text("false")),
)

STATISTIC_PERIOD = Table(
    "statistic_period",
    METADATA,
    Column("period", Text, primary_key=True),
    Column("smallest_cell", Integer, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", TIMESTAMP(timezone=True), nullable=False),
)

STATISTIC_OCCASION = Table(
    "statistic_occasion",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("occasion_id", Text, primary_key=True),
    Column("period", Text, ForeignKey("statistic_period.period"), nullable=False),
)

STATISTIC_CELL = Table(
    "statistic_cell",
    METADATA,
    Column("period", Text, ForeignKey("statistic_period.period"), primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("participants", Integer),
)
