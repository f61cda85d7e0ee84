"""Roles for people, and the log of what they read: each entry is written once, by the database's own word for who."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# An operator runs and mends; the privacy officer also retains and erases, and sees what everybody read.
_MEMBERS = {
    "intake_operator": ("intake_pipeline",),
    "intake_privacy_officer": ("intake_pipeline", "intake_retention"),
}
_READERS = ("intake_pipeline", "intake_retention", "intake_finance", "intake_preferences", *_MEMBERS)
_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN NOINHERIT;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$
"""
_MEMBERSHIP = """
DO $$
BEGIN
    IF NOT pg_has_role('{member}', '{role}', 'MEMBER') THEN
        GRANT {role} TO {member};
    END IF;
EXCEPTION WHEN unique_violation OR internal_error THEN
    NULL; -- another database of the server is granting the same at this moment
END
$$
"""


def upgrade() -> None:
    for role, above in _MEMBERS.items():
        op.execute(_ROLE.format(role=role))
        for one in above:
            op.execute(_MEMBERSHIP.format(role=one, member=role))
    # They act as the roles above them, one at a time; of themselves they only see whether the store is up to date.
    op.execute(f"grant usage on schema intake to {', '.join(_MEMBERS)}")
    op.execute(f"grant select on intake.alembic_version to {', '.join(_MEMBERS)}")
    _grants()
    _log()


def downgrade() -> None:
    op.drop_table("access_log", schema="intake")
    op.drop_table("access_grant", schema="intake")


def _at(name: str, *, nullable: bool = False, default: bool = True) -> sa.Column:
    now = sa.text("clock_timestamp()") if default else None
    return sa.Column(name, postgresql.TIMESTAMP(timezone=True), nullable=nullable, server_default=now)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _grants() -> None:
    op.create_table(
        "access_grant",
        sa.Column("grant_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *(_text(name) for name in ("user_name", "role", "granted_by")),
        _at("granted_at"),
        sa.Column("ends_on", sa.Date()),
        _text("revoked_by", nullable=True),
        _at("revoked_at", nullable=True, default=False),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_access_grant")),
        schema="intake",
    )
    op.create_index("ix_access_grant_user", "access_grant", ["user_name"], schema="intake")
    op.execute("revoke all on intake.access_grant from intake_pipeline")
    op.execute("grant select on intake.access_grant to intake_pipeline, intake_privacy_officer")


def _log() -> None:
    op.create_table(
        "access_log",
        sa.Column("entry_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _at("read_at"),
        sa.Column("login", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        *(_text(name) for name in ("os_user", "command", "purpose")),
        sa.Column("contact_point_ids", postgresql.ARRAY(sa.UUID()), nullable=False),
        _text("about"),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_access_log")),
        schema="intake",
    )
    op.create_index("ix_access_log_read_at", "access_log", ["read_at"], schema="intake")
    op.create_index(
        "ix_access_log_contact_points", "access_log", ["contact_point_ids"], schema="intake", postgresql_using="gin"
    )
    # Time and login are the database's own word: nobody may give another.
    written = "os_user, command, purpose, contact_point_ids, about"
    op.execute("revoke all on intake.access_log from intake_pipeline")
    op.execute(f"grant insert ({written}) on intake.access_log to {', '.join(_READERS)}")
    op.execute("grant select on intake.access_log to intake_pipeline, intake_privacy_officer")
    op.execute("grant select, delete on intake.access_log to intake_retention")
    op.execute("alter table intake.access_log enable row level security")
    op.execute("create policy written on intake.access_log for insert with check (true)")
    op.execute("create policy own on intake.access_log for select to intake_pipeline using (login = session_user)")
    op.execute("create policy officer on intake.access_log for select to intake_privacy_officer using (true)")
    op.execute(
        "create policy past on intake.access_log for delete to intake_retention"
        " using (read_at < clock_timestamp() - interval '2 years')"
    )
    op.execute("create policy seen on intake.access_log for select to intake_retention using (true)")
