"""The table of sign-ups that wait for their person to follow the link in the mailbox (double opt-in).

`confirmation_id` names the sign-up and is in its link. Address and names go once it is confirmed, or when it expires.
"""

from sqlalchemy import Column, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

from connectors.store.metadata import METADATA


def _at(name: str, *, nullable: bool = False) -> Column:
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable)


PENDING_GRANT = Table(
    "pending_grant",
    METADATA,
    Column("confirmation_id", UUID, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("submission_id", Text, nullable=False),
    Column("address", Text),
    Column("address_key", Text),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("given_key", Text),
    Column("wording_hash", Text, nullable=False),
    Column("notice_version", Text, nullable=False),
    Column("channel", Text, nullable=False),
    _at("occurred_at"),
    Column("precision_s", Integer, nullable=False),
    _at("asked_at"),
    _at("expires_at"),
    _at("mailed_at", nullable=True),
    _at("confirmed_at", nullable=True),
    Column("reading_id", UUID),
    Index("ix_pending_grant_address", "address_key", "purpose"),
    Index("ix_pending_grant_expiring", "expires_at"),
    Index("ix_pending_grant_reading", "reading_id"),
)
