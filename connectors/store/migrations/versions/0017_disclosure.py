"""Disclosures: what was given to whom, of whom, and who was told of what changed since."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "disclosure",
        sa.Column("disclosure_id", sa.UUID(), nullable=False),
        *(_text(name) for name in ("source", "occasion_id", "recipient", "purpose")),
        sa.Column("columns", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        *(_text(name) for name in ("reason", "disclosed_by")),
        sa.Column("login", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        _at("disclosed_at"),
        _text("file_hash"),
        sa.PrimaryKeyConstraint("disclosure_id", name=op.f("pk_disclosure")),
        schema="intake",
    )
    op.create_index("ix_disclosure_occasion", "disclosure", ["source", "occasion_id"], schema="intake")
    _subjects()
    # A disclosure that was made stays made; of a subject only what the recipient was told can be added.
    for table in ("disclosure", "disclosure_subject"):
        op.execute(f"revoke update, delete, truncate on intake.{table} from intake_pipeline")
        op.execute(f"grant select, delete on intake.{table} to intake_retention")
    op.execute("grant update (told_by, told_of, told_at) on intake.disclosure_subject to intake_pipeline")


def downgrade() -> None:
    op.drop_table("disclosure_subject", schema="intake")
    op.drop_table("disclosure", schema="intake")


def _subjects() -> None:
    op.create_table(
        "disclosure_subject",
        sa.Column("disclosure_id", sa.UUID(), nullable=False),
        *(_text(name) for name in ("reference", "source", "submission_id")),
        *(sa.Column(name, sa.UUID(), nullable=False) for name in ("subject_id", "contact_point_id")),
        _text("content_hash"),
        *(_text(name, nullable=True) for name in ("told_by", "told_of")),
        _at("told_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["disclosure_id"],
            ["intake.disclosure.disclosure_id"],
            name=op.f("fk_disclosure_subject__disclosure_id__disclosure"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("disclosure_id", "reference", name=op.f("pk_disclosure_subject")),
        schema="intake",
    )
    by = ["contact_point_id"]
    op.create_index("ix_disclosure_subject_contact_point", "disclosure_subject", by, schema="intake")
    by = ["source", "submission_id"]
    op.create_index("ix_disclosure_subject_submission", "disclosure_subject", by, schema="intake")
