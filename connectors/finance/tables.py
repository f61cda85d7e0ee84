"""The tables of the schema `finance`: what was charged or is to be paid, to and by whom, and what was corrected in it.

entry        one record of a source: a fee, an invoice, a grant; with the last day that accounting law keeps it
party        who pays, who is invoiced, who is paid; `corrected` names the fields that a source overwrites no more
refusal      a value that is not valid, as written, until finance corrects it
correction   every correction, append-only: accounting law wants the first value to stay visible
taken        which batches of the intake's landing were read, and by which mapping
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, UUID
from sqlalchemy.types import BigInteger

from connectors.store.metadata import METADATA
from schemas.finance import PARTY_FIELDS

SCHEMA = "finance"
_NOW = sql("now()")

ENTRY = Table(
    "entry",
    METADATA,
    Column("entry_id", UUID, primary_key=True, server_default=sql("gen_random_uuid()")),
    Column("source", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("kind", Text),
    Column("record_class", Text, nullable=False),
    Column("reference", Text),
    Column("amount", Numeric(14, 2)),
    Column("currency", Text, nullable=False),
    Column("payment_method", Text),
    Column("payment_status", Text),
    Column("dated_on", Date, nullable=False),
    Column("fiscal_year_end", Date, nullable=False),
    Column("kept_until", Date, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("received_at", TIMESTAMP(timezone=True), nullable=False),
    CheckConstraint("record_class in ('voucher', 'books')", name="record_class"),
    Index("ix_finance_entry_record", "source", "record_id", unique=True),
    Index("ix_finance_entry_kept_until", "kept_until"),
    schema=SCHEMA,
)

PARTY = Table(
    "party",
    METADATA,
    Column("entry_id", UUID, ForeignKey("finance.entry.entry_id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    *(Column(field, Text) for field in PARTY_FIELDS),
    Column("corrected", ARRAY(Text), nullable=False, server_default=sql("'{}'")),
    PrimaryKeyConstraint("entry_id", "role"),
    CheckConstraint("role in ('payer', 'invoice_recipient', 'payee')", name="role"),
    schema=SCHEMA,
)

REFUSAL = Table(
    "refusal",
    METADATA,
    Column("entry_id", UUID, ForeignKey("finance.entry.entry_id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("column_title", Text, nullable=False),
    Column("fault", Text, nullable=False),
    Column("written", Text, nullable=False),
    PrimaryKeyConstraint("entry_id", "role", "field"),
    schema=SCHEMA,
)

CORRECTION = Table(
    "correction",
    METADATA,
    Column("correction_id", BigInteger, Identity(), primary_key=True),
    Column("entry_id", UUID, ForeignKey("finance.entry.entry_id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    Column("corrected_by", Text, nullable=False),
    Column("login", Text, nullable=False, server_default=sql("session_user")),
    Column("corrected_at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    Index("ix_finance_correction_entry", "entry_id"),
    schema=SCHEMA,
)

TAKEN = Table(
    "taken",
    METADATA,
    Column("batch_id", UUID, nullable=False),
    Column("mapping_hash", Text, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("taken_at", TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("batch_id", "mapping_hash"),
    schema=SCHEMA,
)
