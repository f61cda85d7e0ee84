"""The tables of the store, by what they are for. Columns only: how they are merged stands in the modules beside.

received   batch, staged_group, watermark, read_days, row_outcome, quarantine      (landing_* stand in landing.py)
people     contact_point, dirty_address, subject, person, submission, moved_submission, answer, unfolded
occasions  occasion, registration, person_purpose
ledger     consent_event and consent_void (append-only), consent_evidence (erasable), consent_wording, consent_state,
           person_consent
crm        crm_row (what the CRM is known to hold), crm_link, crm_review, crm_cutover, crm_finding, plan, outbox_intent,
           crm_cursor, crm_organisation
runs       run, run_count, reading (one merge of a feed's batches), row_image (what it overwrote), undone_reading

An id that is sent to the CRM as a row's key is a uuid5 under a secret salt, never made of an address or a name.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, DATEMULTIRANGE, JSONB, TIMESTAMP, UUID

from connectors.store.metadata import METADATA


def _at(name: str, *, nullable: bool = True, now: bool = False) -> Column:
    default = sql("now()") if now else None
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


# `comes_anew`: an undo took back something that it told as well, and it is not in the landing: it is read when it comes again.
BATCH = Table(
    "batch",
    METADATA,
    Column("batch_id", UUID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("received_on", Date, nullable=False),
    _at("received_at", nullable=False),
    Column("media_type", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("mapping_hash", Text),
    Column("row_count", Integer),
    Column("state", Text, nullable=False),
    Column("stop_code", Text),
    Column("stop_reason", Text),
    Column("stop_remedy", Text),
    Column("gate", JSONB),
    _at("landed_at", nullable=False, now=True),
    _at("applied_at"),
    _at("expires_at", nullable=False),
    Column("comes_anew", Boolean, nullable=False, server_default=sql("false")),
    CheckConstraint("state in ('landed', 'stopped', 'applied', 'undone')", name="state"),
    Index("ix_batch_one_content", "source", "feed", "content_hash", unique=True),
    Index("ix_batch_received", "source", "received_on"),
)

STAGED_GROUP = Table(
    "staged_group",
    METADATA,
    Column("group_id", UUID, primary_key=True),
    Column("group_no", BigInteger, Identity(), nullable=False),
    Column("run_id", UUID, nullable=False),
    Column("source", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    _at("made_at", nullable=False, now=True),
    Index("ix_staged_group_run", "run_id", "source"),
)

WATERMARK = Table(
    "watermark",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("position", Text, nullable=False),
    _at("moved_at", nullable=False, now=True),
)

READ_DAYS = Table(
    "read_days",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("days", DATEMULTIRANGE, nullable=False),
)

ROW_OUTCOME = Table(
    "row_outcome",
    METADATA,
    Column("batch_id", UUID, ForeignKey("batch.batch_id", ondelete="CASCADE"), primary_key=True),
    Column("row_no", Integer, primary_key=True),
    Column("submission_id", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("effects", ARRAY(Text), nullable=False),
    CheckConstraint("state in ('quarantined', 'withheld', 'applied', 'unchanged')", name="state"),
    Index("ix_row_outcome_submission", "submission_id"),
    Index("ix_row_outcome_child", "submission_id", postgresql_where=sql("'withheld:child' = any (effects)")),
)

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("quarantine_id", BigInteger, Identity(), primary_key=True),
    Column("batch_id", UUID, ForeignKey("batch.batch_id", ondelete="CASCADE"), nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("submission_id", Text),
    Column("field", Text, nullable=False),
    Column("column_title", Text),
    Column("fault", Text, nullable=False),
    Column("value_class", Text),
    Column("blocks", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    _at("first_seen_at", nullable=False, now=True),
    _at("closed_at"),
    Column("closed_by", Text),
    Column("close_reason", Text),
    Index("ix_quarantine_once", "batch_id", "row_no", "field", "fault", unique=True),
    Index("ix_quarantine_open", "source", "feed", "first_seen_at", postgresql_where=sql("state = 'open'")),
    CheckConstraint("state in ('open', 'mended', 'discarded')", name="state"),
)

# `sought_at`: since when all contacts of the CRM with a suppressed address are known; null while it is not suppressed.
# `is_held`: what is of it was kept at the last plan, whatever had ended (connectors.store.holding).
# `awaits_listing`: what would not lower was left out of its last plan, for it was not on the policy's allow list.
CONTACT_POINT = Table(
    "contact_point",
    METADATA,
    Column("contact_point_id", UUID, primary_key=True),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False, unique=True),
    Column("is_role_address", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("acked_version", BigInteger, nullable=False, server_default="0"),
    _at("next_end_at"),
    _at("sought_at"),
    Column("is_held", Boolean, nullable=False, server_default=sql("false")),
    Column("awaits_listing", Boolean, nullable=False, server_default=sql("false")),
    _at("created_at", nullable=False, now=True),
    Index("ix_contact_point_ending", "next_end_at", postgresql_where=sql("next_end_at is not null")),
    Index("ix_contact_point_held", "contact_point_id", postgresql_where=sql("is_held")),
    Index("ix_contact_point_awaiting", "contact_point_id", postgresql_where=sql("awaits_listing")),
)

# Those whose version is past the acknowledged one: kept by triggers of contact_point (connectors.store.due_sql).
DIRTY_ADDRESS = Table("dirty_address", METADATA, Column("contact_point_id", UUID, primary_key=True))

SUBJECT = Table(
    "subject",
    METADATA,
    Column("subject_id", UUID, primary_key=True, server_default=sql("gen_random_uuid()")),
    Column("contact_point_id", UUID, ForeignKey("contact_point.contact_point_id"), nullable=False),
    Column("given_key", Text, nullable=False),
    Column("has_ground", Boolean, nullable=False, server_default=sql("false")),
    Column("person_id", UUID),
    Column("is_child", Boolean),
    Column("age_told_at", TIMESTAMP(timezone=True)),
    Column("age_reading_id", UUID),
    Index("ix_subject_one", "contact_point_id", "given_key", unique=True),
    Index("ix_subject_child", "contact_point_id", postgresql_where=sql("is_child")),
    Index("ix_subject_age_reading", "age_reading_id", postgresql_where=sql("age_reading_id is not null")),
    Index("ix_subject_person", "person_id"),
)

PERSON = Table(
    "person",
    METADATA,
    Column("person_id", UUID, primary_key=True),
    Column("contact_point_id", UUID, ForeignKey("contact_point.contact_point_id"), nullable=False),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("phone", Text),
    Column("organisation", Text),
    _at("created_at", nullable=False, now=True),
    Index("ix_person_contact_point", "contact_point_id"),
)

SUBMISSION = Table(
    "submission",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("submission_id", Text, primary_key=True),
    Column("feed", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    _at("version_at"),
    _at("submitted_from"),
    _at("submitted_to"),
    _at("received_at", nullable=False),
    Column("batch_id", UUID, nullable=False),
    Column("row_no", Integer, nullable=False),
    Column("contact_point_id", UUID, ForeignKey("contact_point.contact_point_id")),
    Column("subject_id", UUID, ForeignKey("subject.subject_id")),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("phone", Text),
    Column("organisation", Text),
    Column("country", Text),
    Column("postal_code", Text),
    Column("city", Text),
    Column("is_enquiry", Boolean, nullable=False),
    _at("erased_at_source"),
    Column("reading_id", UUID),
    Index("ix_submission_subject", "subject_id"),
    Index("ix_submission_reading", "reading_id"),
    Index("ix_submission_contact_point", "contact_point_id"),
)

# What told of somebody at the address that they had before they moved on their page: it is read as of where they moved to.
MOVED_SUBMISSION = Table(
    "moved_submission",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("submission_id", Text, primary_key=True),
    Column("from_id", UUID, ForeignKey("contact_point.contact_point_id", ondelete="CASCADE"), primary_key=True),
    Column("to_id", UUID, ForeignKey("contact_point.contact_point_id", ondelete="CASCADE"), nullable=False),
    _at("moved_at", nullable=False),
    Index("ix_moved_submission_from_id", "from_id"),
    Index("ix_moved_submission_to_id", "to_id"),
)

ANSWER = Table(
    "answer",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("submission_id", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("answer", Text, nullable=False),
)

# Each part is as the newest row that tells it has it, whose version is beside it; `ends_at` is when it is over, for all that is
# told. `earlier_ended_at`: an end that had passed when a start after it was told (connectors.store.occasions_sql).
OCCASION = Table(
    "occasion",
    METADATA,
    Column("occasion_pk", UUID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("occasion_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text),
    _at("starts_at"),
    _at("ends_at"),
    Column("field", Text),
    Column("organiser_unit", Text),
    Column("organiser_contact", Text),
    _at("version_at"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("acked_version", BigInteger, nullable=False, server_default="0"),
    Column("reading_id", UUID),
    *(_at(name) for name in ("starts_to", "told_ends_at", "earlier_ended_at")),
    *(_at(f"{part}_version_at") for part in ("name", "starts", "ends", "field")),
    Index("ix_occasion_one", "source", "occasion_id", unique=True),
    Index("ix_occasion_reading", "reading_id"),
)

# Addresses of which a migration changed what their purposes are made of: the next merge folds them anew.
UNFOLDED = Table("unfolded", METADATA, Column("contact_point_id", UUID, primary_key=True))

REGISTRATION = Table(
    "registration",
    METADATA,
    Column("registration_id", UUID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("submission_id", Text, nullable=False),
    Column("occasion_pk", UUID, ForeignKey("occasion.occasion_pk"), nullable=False),
    Column("contact_point_id", UUID, ForeignKey("contact_point.contact_point_id"), nullable=False),
    Column("subject_id", UUID, ForeignKey("subject.subject_id"), nullable=False),
    Column("status", Text, nullable=False),
    _at("registered_at", nullable=False),
    Column("is_sale", Boolean, nullable=False),
    Column("is_payer", Boolean, nullable=False),
    Column("notice_shown", Boolean, nullable=False),
    _at("version_at"),
    Column("reading_id", UUID),
    Index("ix_registration_reading", "reading_id"),
    Index("ix_registration_one", "source", "submission_id", unique=True),
    Index("ix_registration_contact_point", "contact_point_id"),
    Index("ix_registration_occasion", "occasion_pk"),
    CheckConstraint("status in ('active', 'waitlisted', 'cancelled', 'deleted')", name="status"),
)

PERSON_PURPOSE = Table(
    "person_purpose",
    METADATA,
    Column("person_id", UUID, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("contact_point_id", UUID, ForeignKey("contact_point.contact_point_id"), nullable=False),
    _at("begins_at", nullable=False),
    _at("ends_at"),
    Index("ix_person_purpose_contact_point", "contact_point_id"),
)

CONSENT_EVENT = Table(
    "consent_event",
    METADATA,
    Column("event_id", UUID, primary_key=True, server_default=sql("gen_random_uuid()")),
    Column("event_key", BYTEA, nullable=False, unique=True),
    Column("subject_id", UUID, nullable=False),
    Column("contact_point_id", UUID, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("clock", Text, nullable=False),
    _at("occurred_at"),
    Column("precision_s", Integer, nullable=False),
    _at("effective_at", nullable=False),
    _at("received_at", nullable=False),
    Column("reason", Text),
    Column("source", Text, nullable=False),
    Column("batch_id", UUID),
    Column("commitment", BYTEA, nullable=False),
    _at("recorded_at", nullable=False, now=True),
    Column("reading_id", UUID),
    Column("base_key", BYTEA),
    Column("group_id", UUID),
    Column("nth", Integer),
    Column("link", BYTEA),
    CheckConstraint("value in ('grant', 'withdraw')", name="value"),
    Index("ix_consent_event_bare_key", "event_key", postgresql_where=sql("octet_length(event_key) = 32")),
    Index("ix_consent_event_reading", "reading_id"),
    Index("ix_consent_event_contact_point", "contact_point_id"),
)

# Events that count for nothing any more. An event that is read again after it was voided is an event of its own, under
# another key; `base_key` is the key that it would have had if it had never been voided. `reading_id` is what brought it:
# undone by the run `undo_run_id`, or not, where that run read that its submission is spam or trash (set_aside_sql).
CONSENT_VOID = Table(
    "consent_void",
    METADATA,
    Column("event_key", BYTEA, primary_key=True),
    Column("base_key", BYTEA, nullable=False),
    Column("reading_id", UUID, nullable=False),
    Column("batch_id", UUID),
    Column("undo_run_id", UUID, nullable=False),
    _at("voided_at", nullable=False),
    Column("group_id", UUID),
    Column("nth", Integer),
    Column("link", BYTEA),
    Index("ix_consent_void_base", "base_key"),
)

CONSENT_EVIDENCE = Table(
    "consent_evidence",
    METADATA,
    Column("event_key", BYTEA, primary_key=True),
    Column("salt", BYTEA, nullable=False),
    Column("submission_id", Text),
    Column("address", Text, nullable=False),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("wording_hash", Text),
    Column("notice_version", Text),
    Column("channel", Text),
    Column("collected_by", Text),
    Column("method", Text),
    Index("ix_consent_evidence_submission", "submission_id"),
)

CONSENT_WORDING = Table(
    "consent_wording",
    METADATA,
    Column("wording_hash", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("version", Text, nullable=False),
)

STATED_VALUE = Table(
    "stated_value",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("submission_id", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("contact_point_id", UUID, nullable=False),
    Column("value", Text, nullable=False),
    _at("stated_at", nullable=False),
    Column("reading_id", UUID),
    Index("ix_stated_value_reading", "reading_id"),
    Index("ix_stated_value_contact_point", "contact_point_id"),
)

CONSENT_STATE = Table(
    "consent_state",
    METADATA,
    Column("contact_point_id", UUID, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("state", Text, nullable=False),
)

PERSON_CONSENT = Table(
    "person_consent",
    METADATA,
    Column("contact_point_id", UUID, primary_key=True),
    Column("person_id", UUID, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("state", Text, nullable=False),
    _at("granted_at"),
)

# What the CRM is known to hold of a row: as it acknowledged it from us, or as it was read back since; `written` has
# which of it we wrote, `edits` by column when somebody changed it there. A contact that is nobody's of ours is kept for
# its address and flag alone.
CRM_ROW = Table(
    "crm_row",
    METADATA,
    Column("table_name", Text, primary_key=True),
    Column("row_id", UUID, primary_key=True),
    Column("contact_point_id", UUID),
    Column("is_ours", Boolean, nullable=False),
    Column("columns", JSONB, nullable=False),
    Column("written", JSONB, nullable=False, server_default=sql("'{}'")),
    Column("edits", JSONB, nullable=False, server_default=sql("'{}'")),
    _at("acked_at", nullable=False, now=True),
    Index("ix_crm_row_contact_point", "contact_point_id"),
    Index("ix_crm_row_ours", "table_name", postgresql_where=sql("is_ours")),
)

# A person's contact in the CRM where it is not the row under the person's own id: one that the CRM had (`adopted`), or
# the one that staff merged ours into (`merged`); `gone` where somebody deleted it there, at `since_at`.
CRM_LINK = Table(
    "crm_link",
    METADATA,
    Column("person_id", UUID, ForeignKey("person.person_id", ondelete="CASCADE"), primary_key=True),
    Column("row_id", UUID, nullable=False),
    Column("state", Text, nullable=False),
    _at("since_at", nullable=False),
    CheckConstraint("state in ('adopted', 'merged', 'gone')", name="state"),
    Index("ix_crm_link_row", "row_id"),
    Index("ix_crm_link_merged", "row_id", postgresql_where=sql("state = 'merged'")),
)

# A contact that the CRM has and that may be one of these persons' (or nobody's of ours): a person decides by name.
# `open` and `ignored` hold the persons back from having a contact; `settled` needs no decision any more.
CRM_REVIEW = Table(
    "crm_review",
    METADATA,
    Column("review_id", BigInteger, Identity(), primary_key=True),
    Column("row_id", UUID, nullable=False),
    Column("contact_point_id", UUID, ForeignKey("contact_point.contact_point_id", ondelete="CASCADE"), nullable=False),
    Column("persons", ARRAY(UUID), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    _at("first_seen_at", nullable=False),
    Column("decided_by", Text),
    _at("decided_at"),
    CheckConstraint("state in ('open', 'linked', 'new', 'ignored', 'settled')", name="state"),
    Index("ix_crm_review_one", "contact_point_id", "row_id", unique=True),
)

# A dry run of opting out what has no evidence, and who approved exactly it.
CRM_CUTOVER = Table(
    "crm_cutover",
    METADATA,
    Column("cutover_id", Text, primary_key=True),
    Column("counts", JSONB, nullable=False),
    _at("made_at", nullable=False),
    Column("approved_by", Text),
    _at("approved_at"),
)

# `writings`: each time that a plan was written down, its intents bore another of these, for its name is known last.
PLAN = Table(
    "plan",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("run_id", UUID),
    Column("counts", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    _at("made_at", nullable=False, now=True),
    Column("approved_by", Text),
    _at("approved_at"),
    Column("writings", ARRAY(Text), nullable=False, server_default=sql("'{}'")),
)

_OPEN = "finished_at is null"

# No index asks for `state`: claiming changes no indexed column, so PostgreSQL keeps it within the page (HOT), where half
# of each is left free. An open intent has no end.
OUTBOX_INTENT = Table(
    "outbox_intent",
    METADATA,
    Column("intent_id", BigInteger, Identity(), primary_key=True),
    Column("writing", Text, nullable=False),
    Column("run_id", UUID),
    Column("phase", Integer, nullable=False),
    Column("method", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("row_id", UUID, nullable=False),
    Column("contact_point_id", UUID),
    Column("occasion_pk", UUID),
    Column("planned_version", BigInteger),
    _at("valid_until"),
    Column("is_raising", Boolean, nullable=False),
    Column("columns", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    _at("claimed_at"),
    Column("status", Integer),
    Column("code", Text),
    Column("request_id", Text),
    _at("finished_at"),
    Column("before", JSONB),
    _at("purged_at"),
    Column("sent_etag", Text),
    _at("lost_at"),
    CheckConstraint(
        "state in ('waiting', 'pending', 'claimed', 'acknowledged', 'superseded', 'refused', 'conflict')", name="state"
    ),
    CheckConstraint("not (state in ('waiting', 'pending', 'claimed')) or finished_at is null", name="open"),
    Index("ix_outbox_next", "run_id", "phase", "table_name", "method", "intent_id", postgresql_where=sql(_OPEN)),
    Index("ix_outbox_row", "row_id"),
    Index("ix_outbox_address", "contact_point_id", "run_id", "phase"),
    Index("ix_outbox_run", "run_id"),
    Index("ix_outbox_lost", "lost_at", postgresql_where=sql("lost_at is not null")),
)

CRM_CURSOR = Table(
    "crm_cursor",
    METADATA,
    Column("table_name", Text, primary_key=True),
    Column("delta_link", Text, nullable=False),
    Column("selected", Text, nullable=False),
    _at("moved_at", nullable=False, now=True),
)

CRM_ORGANISATION = Table(
    "crm_organisation",
    METADATA,
    Column("is_only", Boolean, CheckConstraint("is_only", name="one"), primary_key=True, server_default="true"),
    Column("organisation_id", UUID, nullable=False),
)

# What an operator is to know of what was read in the CRM: a kind, the row, and what it is about; never a value.
CRM_FINDING = Table(
    "crm_finding",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("row_id", UUID, primary_key=True),
    Column("detail", Text, nullable=False),
    _at("found_at", nullable=False),
)

RUN = Table(
    "run",
    METADATA,
    Column("run_id", UUID, primary_key=True),
    Column("kind", Text, nullable=False),
    _at("started_at", nullable=False, now=True),
    _at("finished_at"),
    Column("state", Text, nullable=False),
    Column("counts", JSONB),
)

RUN_COUNT = Table(
    "run_count",
    METADATA,
    Column("run_id", UUID, primary_key=True),
    Column("batch_id", UUID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("rows_read", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("withheld", Integer, nullable=False),
    Column("applied", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("reasons", JSONB, nullable=False),
    CheckConstraint("rows_read = quarantined + withheld + applied + unchanged", name="adds_up"),
    Index("ix_run_count_source", "source", "feed"),
)

# One merge of some batches of a feed, read by one mapping: what an undo undoes. `row_nos`: of one batch these rows only.
READING = Table(
    "reading",
    METADATA,
    Column("reading_id", UUID, primary_key=True),
    Column("run_id", UUID, nullable=False),
    Column("source", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("mapping_hash", Text, nullable=False),
    Column("batch_ids", ARRAY(UUID), nullable=False),
    _at("read_at", nullable=False),
    Column("row_nos", ARRAY(Integer)),
    Index("ix_reading_run", "run_id"),
)

# What a reading overwrote in `submission`, `registration` or `stated_value`, as arrays of whole rows.
ROW_IMAGE = Table(
    "row_image",
    METADATA,
    Column("image_id", BigInteger, Identity(), primary_key=True),
    Column("reading_id", UUID, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("submission_id", Text, nullable=False),
    Column("contact_point_id", UUID),
    Column("rows", JSONB, nullable=False),
    _at("kept_at", nullable=False),
    CheckConstraint(
        "table_name in ('submission', 'registration', 'stated_value', 'occasion', 'subject')", name="table_name"
    ),
    Index("ix_row_image_once", "source", "submission_id", "table_name", "reading_id", unique=True),
    Index("ix_row_image_contact_point", "contact_point_id"),
    Index("ix_row_image_kept", "kept_at"),
)

UNDONE_READING = Table(
    "undone_reading",
    METADATA,
    Column("reading_id", UUID, ForeignKey("reading.reading_id"), primary_key=True),
    Column("undo_run_id", UUID, nullable=False),
    Column("undone_by", Text, nullable=False),
    _at("undone_at", nullable=False),
)
