"""Courses and events: each part with its own version, of what kind they are, and whether one's id was used again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_ADDED = (
    *("starts_to", "told_ends_at", "earlier_ended_at"),
    *("name_version_at", "starts_version_at", "ends_version_at", "field_version_at"),
)
_AS_KNOWN = """
update intake.occasion set
    starts_to = starts_at, told_ends_at = ends_at, field_version_at = version_at,
    name_version_at = case when name <> occasion_id then version_at end,
    starts_version_at = case when starts_at is not null then version_at end,
    ends_version_at = case when ends_at is not null then version_at end
"""
# What staff or a survey named first had their kind, by which no purpose began and nothing went.
_OF_NO_KIND = "o.kind not in ('course_registration', 'event_registration')"
_UNFOLDED = f"""
insert into intake.unfolded
select distinct g.contact_point_id from intake.registration g join intake.occasion o using (occasion_pk) where {_OF_NO_KIND}
"""
_KINDS = f"""
update intake.occasion o set version = o.version + 1, kind = case when exists (
        select from intake.registration g join intake.submission s using (source, submission_id)
        where g.occasion_pk = o.occasion_pk and s.kind = 'course_registration')
    then 'course_registration' else 'event_registration' end
where {_OF_NO_KIND}
"""


def upgrade() -> None:
    for name in _ADDED:
        op.add_column("occasion", sa.Column(name, postgresql.TIMESTAMP(timezone=True)), schema="intake")
    op.create_table(
        "unfolded",
        sa.Column("contact_point_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("contact_point_id", name=op.f("pk_unfolded")),
        schema="intake",
    )
    for statement in (_AS_KNOWN, _UNFOLDED, _KINDS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("unfolded", schema="intake")
    for name in _ADDED:
        op.drop_column("occasion", name, schema="intake")
