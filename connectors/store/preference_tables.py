"""The tables of the people's door: calls for a narrow synchronisation, proofs of a mailbox, deliveries of webhooks.

narrow_call       addresses that somebody acted on and that the CRM is to be told of now, not at night
mailbox_proof     one-time links that were mailed: their hashes, never the links
person_request    what people asked for on their page: a copy, erasure, another address
webhook_delivery  which submission came by which feed's webhook, so that each is landed once
webhook_replay    signatures of deliveries, remembered as long as they would be taken
"""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP, UUID

from connectors.store.metadata import METADATA


def _at(name: str, *, nullable: bool = False, now: bool = False) -> Column:
    return Column(
        name, TIMESTAMP(timezone=True), nullable=nullable, server_default=sql("clock_timestamp()") if now else None
    )


def _contact_point(*, is_key: bool) -> Column:
    target = ForeignKey("contact_point.contact_point_id", ondelete="CASCADE")
    return Column("contact_point_id", UUID, target, primary_key=is_key, nullable=False)


NARROW_CALL = Table(
    "narrow_call",
    METADATA,
    _contact_point(is_key=True),
    _at("called_at", now=True),
    _at("due_at", now=True),
    _at("leased_until", nullable=True),
    Column("tries", Integer, nullable=False, server_default="0"),
    Index("ix_narrow_call_due", "due_at"),
)

# `new_address` is kept for a change of address only, until it is confirmed or has expired.
MAILBOX_PROOF = Table(
    "mailbox_proof",
    METADATA,
    Column("proof_hash", BYTEA, primary_key=True),
    _contact_point(is_key=False),
    Column("scope", Text, nullable=False),
    Column("new_address", Text),
    _at("made_at", now=True),
    _at("expires_at"),
    _at("used_at", nullable=True),
    Index("ix_mailbox_proof_contact_point", "contact_point_id", "made_at"),
    Index("ix_mailbox_proof_expiring", "expires_at"),
)

PERSON_REQUEST = Table(
    "person_request",
    METADATA,
    Column("request_id", UUID, primary_key=True, server_default=sql("gen_random_uuid()")),
    _contact_point(is_key=False),
    Column("kind", Text, nullable=False),
    Column("new_address", Text),
    Column("state", Text, nullable=False, server_default="open"),
    _at("asked_at", now=True),
    _at("closed_at", nullable=True),
    CheckConstraint("kind in ('export', 'erasure', 'move')", name="kind"),
    CheckConstraint("state in ('open', 'done', 'refused')", name="state"),
    Index("ix_person_request_contact_point", "contact_point_id"),
    Index("ix_person_request_open", "asked_at", postgresql_where=sql("state = 'open'")),
)

WEBHOOK_DELIVERY = Table(
    "webhook_delivery",
    METADATA,
    Column("feed", Text, primary_key=True),
    Column("submission_key", BYTEA, primary_key=True),
    Column("content_hash", Text, primary_key=True),
    Column("batch_id", UUID, nullable=False),
    _at("delivered_at", now=True),
)

WEBHOOK_REPLAY = Table(
    "webhook_replay",
    METADATA,
    Column("feed", Text, primary_key=True),
    Column("signature_hash", BYTEA, primary_key=True),
    _at("seen_at", now=True),
    Index("ix_webhook_replay_seen", "seen_at"),
)
