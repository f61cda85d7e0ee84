"""Roles and schemas: who may touch what, before there is anything to touch.

intake_pipeline   the runs: reads and writes the tables of `intake`, makes and drops its own in `staging`
intake_retention  what deletes and anonymises when an end has passed; its grants come with the tables

Roles belong to the whole server, so another database may have made them, or be making them now.
"""

from alembic import op

revision = "0000"
down_revision = None
branch_labels = None
depends_on = None

_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$
"""

# A superuser is a member of every role already.
_MEMBERSHIP = """
DO $$
BEGIN
    IF NOT pg_has_role(current_user, '{role}', 'USAGE') THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
END
$$
"""


def upgrade() -> None:
    """Makes the roles, the schemas, and what tables made later grant by default."""
    for role in ("intake_pipeline", "intake_retention"):
        op.execute(_ROLE.format(role=role))
        op.execute(_MEMBERSHIP.format(role=role))
    op.execute("CREATE SCHEMA IF NOT EXISTS staging")
    op.execute("GRANT USAGE ON SCHEMA intake TO intake_pipeline, intake_retention")
    op.execute("GRANT USAGE, CREATE ON SCHEMA staging TO intake_pipeline")
    op.execute("GRANT SELECT ON intake.alembic_version TO intake_pipeline, intake_retention")
    defaults = "ALTER DEFAULT PRIVILEGES IN SCHEMA intake GRANT"
    op.execute(f"{defaults} SELECT, INSERT, UPDATE, DELETE ON TABLES TO intake_pipeline")
    op.execute(f"{defaults} USAGE, SELECT ON SEQUENCES TO intake_pipeline")
