"""Who may and who did: the logins that were given a role, and the log of every reading of a person.

access_grant   who was given which role by whom, until when, and who took it away
access_log     append-only for all; ids of whom it was about, never a value. The database itself writes who and when
"""

from sqlalchemy import BigInteger, Column, Date, Identity, Index, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, UUID

from connectors.store.metadata import METADATA

ACCESS_GRANT = Table(
    "access_grant",
    METADATA,
    Column("grant_id", BigInteger, Identity(), primary_key=True),
    Column("user_name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", TIMESTAMP(timezone=True), nullable=False, server_default=sql("clock_timestamp()")),
    Column("ends_on", Date),
    Column("revoked_by", Text),
    Column("revoked_at", TIMESTAMP(timezone=True)),
    Index("ix_access_grant_user", "user_name"),
)

ACCESS_LOG = Table(
    "access_log",
    METADATA,
    Column("entry_id", BigInteger, Identity(always=True), primary_key=True),
    Column("read_at", TIMESTAMP(timezone=True), nullable=False, server_default=sql("clock_timestamp()")),
    Column("login", Text, nullable=False, server_default=sql("session_user")),
    Column("os_user", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("contact_point_ids", ARRAY(UUID), nullable=False),
    Column("about", Text, nullable=False),
    Index("ix_access_log_read_at", "read_at"),
    Index("ix_access_log_contact_points", "contact_point_ids", postgresql_using="gin"),
)
