"""The tables of the intake: received, people, occasions, ledger, CRM, runs. The ledger can only be appended to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answer",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "submission_id", "question", name=op.f("pk_answer")),
        schema="intake",
    )
    op.create_table(
        "batch",
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("mapping_hash", sa.Text(), nullable=True),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stop_code", sa.Text(), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("stop_remedy", sa.Text(), nullable=True),
        sa.Column("gate", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("landed_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("applied_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("state in ('landed', 'stopped', 'applied')", name=op.f("ck_batch__state")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch")),
        schema="intake",
    )
    op.create_index("ix_batch_one_content", "batch", ["source", "feed", "content_hash"], unique=True, schema="intake")
    op.create_index("ix_batch_received", "batch", ["source", "received_on"], unique=False, schema="intake")
    op.create_table(
        "consent_event",
        sa.Column("event_id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("event_key", postgresql.BYTEA(), nullable=False),
        sa.Column("subject_id", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("precision_s", sa.Integer(), nullable=False),
        sa.Column("effective_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=True),
        sa.Column("commitment", postgresql.BYTEA(), nullable=False),
        sa.Column("recorded_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("value in ('grant', 'withdraw')", name=op.f("ck_consent_event__value")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_consent_event")),
        sa.UniqueConstraint("event_key", name=op.f("uq_consent_event__event_key")),
        schema="intake",
    )
    op.create_index(
        "ix_consent_event_contact_point", "consent_event", ["contact_point_id"], unique=False, schema="intake"
    )
    op.create_table(
        "consent_evidence",
        sa.Column("event_key", postgresql.BYTEA(), nullable=False),
        sa.Column("salt", postgresql.BYTEA(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=True),
        sa.Column("family_name", sa.Text(), nullable=True),
        sa.Column("wording_hash", sa.Text(), nullable=True),
        sa.Column("notice_version", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("collected_by", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_key", name=op.f("pk_consent_evidence")),
        schema="intake",
    )
    op.create_table(
        "consent_state",
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("contact_point_id", "purpose", "topic", name=op.f("pk_consent_state")),
        schema="intake",
    )
    op.create_table(
        "consent_wording",
        sa.Column("wording_hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("wording_hash", name=op.f("pk_consent_wording")),
        schema="intake",
    )
    op.create_table(
        "contact_point",
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("is_role_address", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("acked_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_end_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("contact_point_id", name=op.f("pk_contact_point")),
        sa.UniqueConstraint("address_key", name=op.f("uq_contact_point__address_key")),
        schema="intake",
    )
    op.create_index(
        "ix_contact_point_dirty",
        "contact_point",
        ["contact_point_id"],
        unique=False,
        schema="intake",
        postgresql_where=sa.text("version > acked_version"),
    )
    op.create_index(
        "ix_contact_point_ending",
        "contact_point",
        ["next_end_at"],
        unique=False,
        schema="intake",
        postgresql_where=sa.text("next_end_at is not null"),
    )
    op.create_table(
        "crm_cursor",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("moved_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("table_name", name=op.f("pk_crm_cursor")),
        schema="intake",
    )
    op.create_table(
        "crm_row",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=True),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("acked_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "row_id", name=op.f("pk_crm_row")),
        schema="intake",
    )
    op.create_index("ix_crm_row_contact_point", "crm_row", ["contact_point_id"], unique=False, schema="intake")
    op.create_table(
        "landing_key",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("wrapped_key", postgresql.BYTEA(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_landing_key")),
        schema="intake",
    )
    op.create_table(
        "landing_payload",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("part_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ciphertext", postgresql.BYTEA(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "part_no", name=op.f("pk_landing_payload")),
        schema="intake",
    )
    op.create_table(
        "occasion",
        sa.Column("occasion_pk", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("occasion_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("starts_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("organiser_unit", sa.Text(), nullable=True),
        sa.Column("organiser_contact", sa.Text(), nullable=True),
        sa.Column("version_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("acked_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("occasion_pk", name=op.f("pk_occasion")),
        schema="intake",
    )
    op.create_index("ix_occasion_one", "occasion", ["source", "occasion_id"], unique=True, schema="intake")
    op.create_table(
        "outbox_intent",
        sa.Column("intent_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=True),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=True),
        sa.Column("occasion_pk", sa.UUID(), nullable=True),
        sa.Column("planned_version", sa.BigInteger(), nullable=True),
        sa.Column("valid_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("is_raising", sa.Boolean(), nullable=False),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claimed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'pending', 'claimed', 'acknowledged', 'superseded', 'refused', 'conflict')",
            name=op.f("ck_outbox_intent__state"),
        ),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("pk_outbox_intent")),
        schema="intake",
    )
    op.create_index(
        "ix_outbox_claimed",
        "outbox_intent",
        ["table_name", "row_id"],
        unique=False,
        schema="intake",
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index(
        "ix_outbox_open",
        "outbox_intent",
        ["phase", "intent_id"],
        unique=False,
        schema="intake",
        postgresql_where=sa.text("state in ('waiting', 'pending', 'claimed')"),
    )
    op.create_index("ix_outbox_run", "outbox_intent", ["run_id"], unique=False, schema="intake")
    op.create_index(
        "ix_outbox_unfinished",
        "outbox_intent",
        ["contact_point_id", "phase"],
        unique=False,
        schema="intake",
        postgresql_where=sa.text("state in ('waiting', 'pending', 'claimed', 'refused', 'conflict')"),
    )
    op.create_table(
        "person_consent",
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("granted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("contact_point_id", "person_id", "purpose", "topic", name=op.f("pk_person_consent")),
        schema="intake",
    )
    op.create_table(
        "plan",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_plan")),
        schema="intake",
    )
    op.create_table(
        "run",
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run")),
        schema="intake",
    )
    op.create_table(
        "run_count",
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("rows_read", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("withheld", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "rows_read = quarantined + withheld + applied + unchanged", name=op.f("ck_run_count__adds_up")
        ),
        sa.PrimaryKeyConstraint("run_id", "batch_id", name=op.f("pk_run_count")),
        schema="intake",
    )
    op.create_index("ix_run_count_source", "run_count", ["source", "feed"], unique=False, schema="intake")
    op.create_table(
        "staged_group",
        sa.Column("group_id", sa.UUID(), nullable=False),
        sa.Column("group_no", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_staged_group")),
        schema="intake",
    )
    op.create_index("ix_staged_group_run", "staged_group", ["run_id", "source"], unique=False, schema="intake")
    op.create_table(
        "stated_value",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("stated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "submission_id", "purpose", "topic", name=op.f("pk_stated_value")),
        schema="intake",
    )
    op.create_table(
        "watermark",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("moved_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("source", "feed", name=op.f("pk_watermark")),
        schema="intake",
    )
    op.create_table(
        "person",
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=True),
        sa.Column("family_name", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("organisation", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["intake.contact_point.contact_point_id"],
            name=op.f("fk_person__contact_point_id__contact_point"),
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_person")),
        schema="intake",
    )
    op.create_index("ix_person_contact_point", "person", ["contact_point_id"], unique=False, schema="intake")
    op.create_table(
        "person_purpose",
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("begins_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["intake.contact_point.contact_point_id"],
            name=op.f("fk_person_purpose__contact_point_id__contact_point"),
        ),
        sa.PrimaryKeyConstraint("person_id", "purpose", name=op.f("pk_person_purpose")),
        schema="intake",
    )
    op.create_index(
        "ix_person_purpose_contact_point", "person_purpose", ["contact_point_id"], unique=False, schema="intake"
    )
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("column_title", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("value_class", sa.Text(), nullable=True),
        sa.Column("blocks", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "first_seen_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("state in ('open', 'mended', 'discarded')", name=op.f("ck_quarantine__state")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["intake.batch.batch_id"], name=op.f("fk_quarantine__batch_id__batch"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_quarantine")),
        schema="intake",
    )
    op.create_index(
        "ix_quarantine_once", "quarantine", ["batch_id", "row_no", "field", "fault"], unique=True, schema="intake"
    )
    op.create_index(
        "ix_quarantine_open",
        "quarantine",
        ["source", "feed", "first_seen_at"],
        unique=False,
        schema="intake",
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "row_outcome",
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("effects", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint(
            "state in ('quarantined', 'withheld', 'applied', 'unchanged')", name=op.f("ck_row_outcome__state")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["intake.batch.batch_id"], name=op.f("fk_row_outcome__batch_id__batch"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch_id", "row_no", name=op.f("pk_row_outcome")),
        schema="intake",
    )
    op.create_index("ix_row_outcome_submission", "row_outcome", ["submission_id"], unique=False, schema="intake")
    op.create_table(
        "subject",
        sa.Column("subject_id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("given_key", sa.Text(), nullable=False),
        sa.Column("has_ground", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["intake.contact_point.contact_point_id"],
            name=op.f("fk_subject__contact_point_id__contact_point"),
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subject")),
        schema="intake",
    )
    op.create_index("ix_subject_one", "subject", ["contact_point_id", "given_key"], unique=True, schema="intake")
    op.create_index("ix_subject_person", "subject", ["person_id"], unique=False, schema="intake")
    op.create_table(
        "registration",
        sa.Column("registration_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("occasion_pk", sa.UUID(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.Column("subject_id", sa.UUID(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("registered_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("is_sale", sa.Boolean(), nullable=False),
        sa.Column("is_payer", sa.Boolean(), nullable=False),
        sa.Column("notice_shown", sa.Boolean(), nullable=False),
        sa.Column("version_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status in ('active', 'waitlisted', 'cancelled', 'deleted')", name=op.f("ck_registration__status")
        ),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["intake.contact_point.contact_point_id"],
            name=op.f("fk_registration__contact_point_id__contact_point"),
        ),
        sa.ForeignKeyConstraint(
            ["occasion_pk"], ["intake.occasion.occasion_pk"], name=op.f("fk_registration__occasion_pk__occasion")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["intake.subject.subject_id"], name=op.f("fk_registration__subject_id__subject")
        ),
        sa.PrimaryKeyConstraint("registration_id", name=op.f("pk_registration")),
        schema="intake",
    )
    op.create_index(
        "ix_registration_contact_point", "registration", ["contact_point_id"], unique=False, schema="intake"
    )
    op.create_index("ix_registration_occasion", "registration", ["occasion_pk"], unique=False, schema="intake")
    op.create_index("ix_registration_one", "registration", ["source", "submission_id"], unique=True, schema="intake")
    op.create_table(
        "submission",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("version_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("submitted_from", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("submitted_to", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("batch_id", sa.UUID(), nullable=False),
        sa.Column("row_no", sa.Integer(), nullable=False),
        sa.Column("contact_point_id", sa.UUID(), nullable=True),
        sa.Column("subject_id", sa.UUID(), nullable=True),
        sa.Column("given_name", sa.Text(), nullable=True),
        sa.Column("family_name", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("organisation", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("postal_code", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("is_enquiry", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["intake.contact_point.contact_point_id"],
            name=op.f("fk_submission__contact_point_id__contact_point"),
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["intake.subject.subject_id"], name=op.f("fk_submission__subject_id__subject")
        ),
        sa.PrimaryKeyConstraint("source", "submission_id", name=op.f("pk_submission")),
        schema="intake",
    )
    op.create_index("ix_submission_contact_point", "submission", ["contact_point_id"], unique=False, schema="intake")
    op.create_index("ix_submission_subject", "submission", ["subject_id"], unique=False, schema="intake")
    op.execute("revoke update, delete, truncate on intake.consent_event from intake_pipeline")
    op.execute("grant select, delete on intake.consent_event, intake.consent_evidence to intake_retention")


def downgrade() -> None:
    op.drop_table("submission", schema="intake")
    op.drop_table("registration", schema="intake")
    op.drop_table("subject", schema="intake")
    op.drop_table("row_outcome", schema="intake")
    op.drop_table("quarantine", schema="intake")
    op.drop_table("person_purpose", schema="intake")
    op.drop_table("person", schema="intake")
    op.drop_table("watermark", schema="intake")
    op.drop_table("stated_value", schema="intake")
    op.drop_table("staged_group", schema="intake")
    op.drop_table("run_count", schema="intake")
    op.drop_table("run", schema="intake")
    op.drop_table("plan", schema="intake")
    op.drop_table("person_consent", schema="intake")
    op.drop_table("outbox_intent", schema="intake")
    op.drop_table("occasion", schema="intake")
    op.drop_table("landing_payload", schema="intake")
    op.drop_table("landing_key", schema="intake")
    op.drop_table("crm_row", schema="intake")
    op.drop_table("crm_cursor", schema="intake")
    op.drop_table("contact_point", schema="intake")
    op.drop_table("consent_wording", schema="intake")
    op.drop_table("consent_state", schema="intake")
    op.drop_table("consent_evidence", schema="intake")
    op.drop_table("consent_event", schema="intake")
    op.drop_table("batch", schema="intake")
    op.drop_table("answer", schema="intake")
