"""The tables of the ledger's hash chain: the groups of rows that were appended together, and the heads that were signed.

`group_no`, `previous`, `head` and `chained_at` are set when the appending transaction commits, by the store itself.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP, UUID

from connectors.store.metadata import METADATA

LEDGER_GROUP = Table(
    "ledger_group",
    METADATA,
    Column("group_id", UUID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("last_nth", Integer, nullable=False),
    Column("digest", BYTEA, nullable=False),
    Column("group_no", BigInteger, unique=True),
    Column("previous", BYTEA),
    Column("head", BYTEA),
    Column("chained_at", TIMESTAMP(timezone=True)),
    CheckConstraint("kind in ('event', 'void')", name="kind"),
)

LEDGER_HEAD = Table(
    "ledger_head",
    METADATA,
    Column("group_no", BigInteger, primary_key=True, autoincrement=False),
    Column("head", BYTEA, nullable=False),
    Column("signed_at", TIMESTAMP(timezone=True), nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", BYTEA, nullable=False),
)
