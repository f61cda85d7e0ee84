"""The table of the policies that were applied: each by its hash, with who applied it and what it changed."""

from sqlalchemy import BigInteger, Column, Identity, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from connectors.store.metadata import METADATA

POLICY_VERSION = Table(
    "policy_version",
    METADATA,
    Column("applied_no", BigInteger, Identity(), primary_key=True),
    Column("policy_hash", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("applied_at", TIMESTAMP(timezone=True), nullable=False),
)
