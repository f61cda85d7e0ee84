"""The tables of the rights: what was erased and must not come back, what is held, what people have asked for.

tombstone     what an import must not bring back: keyed hashes, no clear address
erasure       one erasure of a person: by whom, when, its place in the journal outside the database
erasure_row   the CRM's rows of an erased person, by id, until each is seen to be gone
legal_hold    what retention keeps all the same: of a person or an occasion, until when, why, by whose word
data_request  what a person asked of us, by when it is to be answered, and what became of it

None of them has a value of a person in it. A tombstone can be added by the role of retention only, and taken away by
nobody.
"""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Date, ForeignKey, Identity, Index, Table, Text
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

LEGAL_HOLD = Table(
    "legal_hold",
    METADATA,
    Column("hold_id", UUID, primary_key=True),
    Column("person_id", UUID),
    Column("occasion_pk", UUID),
    Column("until_on", Date),
    Column("reason", Text, nullable=False),
    Column("held_by", Text, nullable=False),
    _at("made_at"),
    Column("released_by", Text),
    _at("released_at", nullable=True),
    Index("ix_legal_hold_standing", "person_id", "occasion_pk", postgresql_where=sql("released_at is null")),
    CheckConstraint("(person_id is null) <> (occasion_pk is null)", name="one_thing"),
)

# `contact_point_id` is forgotten with the person; the request stays, to show that it was answered in time.
DATA_REQUEST = Table(
    "data_request",
    METADATA,
    Column("request_id", UUID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("contact_point_id", UUID),
    Column("person_id", UUID),
    Column("organiser_unit", Text),
    Column("organiser_contact", Text),
    _at("asked_at"),
    _at("due_at"),
    Column("taken_by", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("closed_by", Text),
    _at("closed_at", nullable=True),
    Column("outcome", Text),
    Index("ix_data_request_open", "due_at", postgresql_where=sql("state = 'open'")),
    Index("ix_data_request_contact_point", "contact_point_id"),
    CheckConstraint(
        "kind in ('access', 'erasure', 'rectification', 'restriction', 'objection', 'portability')", name="kind"
    ),
    CheckConstraint("state in ('open', 'done', 'refused')", name="state"),
)

# While it is not lifted nothing is planned for the person but lowering (GDPR Art. 18).
RESTRICTION = Table(
    "restriction",
    METADATA,
    Column("person_id", UUID, primary_key=True),
    Column("contact_point_id", UUID, nullable=False),
    Column("reason", Text, nullable=False),
    Column("restricted_by", Text, nullable=False),
    _at("restricted_at"),
    Index("ix_restriction_contact_point", "contact_point_id"),
)
