"""What was disclosed: to whom, which columns, of whom, why, by whose word, and who was told of what changed since.

disclosure           one file that was made, with its hash; no value of anybody
disclosure_subject   whom it told of, by ids, and the reference that the file has for each: it is all that is needed to tell
                     the recipient of an erasure when we know the person no more (GDPR Art. 19)
"""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, UUID

from connectors.store.metadata import METADATA

DISCLOSURE = Table(
    "disclosure",
    METADATA,
    Column("disclosure_id", UUID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("occasion_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("columns", ARRAY(Text), nullable=False),
    Column("people", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("disclosed_by", Text, nullable=False),
    Column("login", Text, nullable=False, server_default=sql("session_user")),
    Column("disclosed_at", TIMESTAMP(timezone=True), nullable=False),
    Column("file_hash", Text, nullable=False),
    Index("ix_disclosure_occasion", "source", "occasion_id"),
)

DISCLOSURE_SUBJECT = Table(
    "disclosure_subject",
    METADATA,
    Column("disclosure_id", UUID, ForeignKey("disclosure.disclosure_id", ondelete="CASCADE"), primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("submission_id", Text, nullable=False),
    Column("subject_id", UUID, nullable=False),
    Column("contact_point_id", UUID, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("told_by", Text),
    Column("told_of", Text),
    Column("told_at", TIMESTAMP(timezone=True)),
    Index("ix_disclosure_subject_contact_point", "contact_point_id"),
    Index("ix_disclosure_subject_submission", "source", "submission_id"),
)
