"""The table of mended cells: what somebody put in place of a quarantined value, encrypted like the batch it belongs to."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Integer, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP, UUID

from connectors.store.metadata import METADATA

MENDED_CELL = Table(
    "mended_cell",
    METADATA,
    Column("edit_no", BigInteger, Identity(), primary_key=True),
    Column("batch_id", UUID, ForeignKey("batch.batch_id", ondelete="CASCADE"), nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("column_title", Text, nullable=False),
    Column("ciphertext", BYTEA, nullable=False),
    Column("reason", Text, nullable=False),
    Column("mended_by", Text, nullable=False),
    Column("mended_at", TIMESTAMP(timezone=True), nullable=False, server_default=sql("now()")),
    Index("ix_mended_cell_row", "batch_id", "row_no"),
)
