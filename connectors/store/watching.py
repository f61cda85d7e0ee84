"""What is overdue in the store beside the runs, and which breaches somebody was told of already."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import TIMESTAMP

from connectors.store.metadata import METADATA

# A breach has a row while it lasts; it is told of once, and again only if it ended and came back.
ALERT = Table(
    "alert",
    METADATA,
    Column("breach", Text, primary_key=True),
    Column("sentence", Text, nullable=False),
    Column("told_at", TIMESTAMP(timezone=True), nullable=False, server_default=sql("clock_timestamp()")),
)

_OVERDUE = {
    "landing": (
        "select count(*) as rows, min(b.expires_at) as oldest_at from intake.batch b"
        " where b.expires_at < :due and exists (select from intake.landing_key k where k.batch_id = b.batch_id)"
    ),
    "erasures": (
        "select count(*) as rows, min(e.erased_at) as oldest_at from intake.erasure_row r"
        " join intake.erasure e using (erasure_id) where r.state = 'open' and e.erased_at < :due"
    ),
    "retention": (
        "select count(*) as rows, min(r.oldest_at) as oldest_at from (select coalesce("
        " (select max(finished_at) from intake.run where kind = 'retention' and state = 'done'),"
        " (select min(landed_at) from intake.batch)) as oldest_at) r where r.oldest_at < :due"
    ),
    "purposes": (
        "select count(*) as rows, min(next_end_at) as oldest_at from intake.contact_point where next_end_at < :due"
    ),
}
_UNDATED = """
select count(*) as rows, min(g.registered_at) as oldest_at from intake.occasion o
cross join lateral (select min(registered_at) as registered_at from intake.registration g
                    where g.occasion_pk = o.occasion_pk) g
where o.ends_at is null and o.starts_at is null and g.registered_at is not null
"""
_FINANCE = """
select case when count(*) > 0 then greatest(min(landed_at), (
    select max(finished_at) from intake.run where kind = 'finance' and state = 'done')) end
from intake.batch where feed = any(cast(:feeds as text[]))
"""
# Courses and events that were over when a later start was told, with whom registered before that.
_USED_AGAIN = """
select o.source, o.occasion_id, count(*) as registrations from intake.occasion o join intake.registration g using (occasion_pk)
where g.registered_at <= o.earlier_ended_at group by 1, 2 order by 1, 2
"""
_TOKENS = "select table_name, moved_at from intake.crm_cursor order by table_name"
_ENDED = """
select g.user_name, g.role, g.ends_on from intake.access_grant g
where g.revoked_at is null and g.ends_on < cast(:today as date)
  and exists (select from pg_auth_members m join pg_roles u on u.oid = m.member where u.rolname = g.user_name)
order by 1, 2
"""
_TELL = "insert into intake.alert (breach, sentence) values (:breach, :sentence) on conflict do nothing"


def read_overdue(conn: Connection, *, due: datetime, today: datetime) -> dict[str, Any]:
    """What should have been deleted before `due`, courses and events that people are registered for without a date, or from
    before it was over and told again; change tokens with their age, and logins whose last day has passed."""
    found = {name: dict(conn.execute(text(query), {"due": due}).mappings().one()) for name, query in _OVERDUE.items()}
    return {
        "overdue_deletions": found,
        "undated_occasions": dict(conn.execute(text(_UNDATED)).mappings().one()),
        "occasions_used_again": [dict(row) for row in conn.execute(text(_USED_AGAIN)).mappings()],
        "change_tokens": [dict(row) for row in conn.execute(text(_TOKENS)).mappings()],
        "ended_access": [dict(row) for row in conn.execute(text(_ENDED), {"today": today.date()}).mappings()],
    }


def last_taken_at(conn: Connection, feeds: Sequence[str]) -> datetime | None:
    """When finance last took all that was landed of its feeds, or when the first of it landed; None where nothing has.

    By the record of runs alone: what finance has taken is not the store's to ask.
    """
    return conn.execute(text(_FINANCE), {"feeds": list(feeds)}).scalar()


def untold(conn: Connection, breaches: Mapping[str, str]) -> dict[str, str]:
    """The breaches that nobody was told of; those that have ended are forgotten, so that they count as new next time."""
    conn.execute(text("delete from intake.alert where not breach = any(:now)"), {"now": list(breaches)})
    told = set(conn.execute(text("select breach from intake.alert")).scalars())
    return {breach: sentence for breach, sentence in breaches.items() if breach not in told}


def mark_told(conn: Connection, breaches: Mapping[str, str]) -> None:
    """Somebody was told of these."""
    for breach, sentence in breaches.items():
        conn.execute(text(_TELL), {"breach": breach, "sentence": sentence})
