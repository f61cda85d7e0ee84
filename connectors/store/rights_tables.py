"""The tables of erasure: what was erased and must not come back, what the CRM still has to let go, by whose word.

tombstone     what an import must not bring back: keyed hashes, no clear address
erasure       one erasure of a person: by whom, when, its place in the journal outside the database
erasure_row   the CRM's rows of an erased person, by id, until each is seen to be gone

None of them has a value of a person in it. A tombstone can be added by the role of retention only, and taken away by
nobody.
"""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Identity, Index, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP, UUID

from connectors.store.metadata import METADATA


def _at(name: str, *, nullable: bool = False) -> Column:
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable)


ERASURE = Table(
    "erasure",
    METADATA,
    Column("erasure_id", UUID, primary_key=True),
    _at("erased_at"),
    Column("erased_by", Text, nullable=False),
    Column("entry_hash", Text, nullable=False, unique=True),
    Column("counts", JSONB, nullable=False, server_default=sql("'{}'")),
    _at("finished_at", nullable=True),
)

TOMBSTONE = Table(
    "tombstone",
    METADATA,
    Column("tombstone_id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key_hash", BYTEA, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    _at("erased_at"),
    Column("erasure_id", UUID, ForeignKey("erasure.erasure_id"), nullable=False),
    Index("ix_tombstone_hash", "key_hash", "kind"),
    Index("ix_tombstone_key", "key_id"),
    Index("ix_tombstone_erasure", "erasure_id"),
    CheckConstraint("kind in ('address', 'subject', 'submission', 'crm_row')", name="kind"),
)

# `written`: by column the keyed hash of the value that we wrote there, to clear that value and no other.
ERASURE_ROW = Table(
    "erasure_row",
    METADATA,
    Column("erasure_id", UUID, ForeignKey("erasure.erasure_id"), primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("row_id", UUID, primary_key=True),
    Column("is_ours", Boolean, nullable=False),
    Column("written", JSONB, nullable=False, server_default=sql("'{}'")),
    Column("state", Text, nullable=False, server_default="open"),
    _at("finished_at", nullable=True),
    Index("ix_erasure_row_open", "erasure_id", postgresql_where=sql("state = 'open'")),
    CheckConstraint("state in ('open', 'gone', 'cleared')", name="state"),
)
