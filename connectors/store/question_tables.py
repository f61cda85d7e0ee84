"""The questions of each feed: as they stood when a delivery was last taken in, and as the newest delivery shows them.

Questions are a form's own and no person's: [[id or null, title], …] in their order.
"""

from sqlalchemy import Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from connectors.store.metadata import METADATA

QUESTION_MAP = Table(
    "question_map",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("known", JSONB, nullable=False),
    Column("shown", JSONB, nullable=False),
    Column("known_at", TIMESTAMP(timezone=True), nullable=False),
    Column("shown_at", TIMESTAMP(timezone=True), nullable=False),
)
