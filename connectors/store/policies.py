"""The policies that were applied, and what a policy comes to for the people in the store."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select, text

from connectors.store.policy_tables import POLICY_VERSION

_REMEMBER = """
create temporary table t_lived on commit drop as select person_id, purpose, ends_at from intake.person_purpose
"""
_COMPARE = """
select coalesce(b.purpose, a.purpose) as purpose,
       count(*) filter (where b.is_alive is not true and a.is_alive) as begins,
       count(*) filter (where b.is_alive and a.is_alive is not true) as ends,
       count(*) filter (where b.is_alive and a.is_alive and coalesce(a.ends_at, 'infinity') > coalesce(b.ends_at, 'infinity'))
           as lives_longer,
       count(*) filter (where b.is_alive and a.is_alive and coalesce(a.ends_at, 'infinity') < coalesce(b.ends_at, 'infinity'))
           as lives_shorter,
       count(*) filter (where a.is_alive) as people
from (select *, coalesce(ends_at > :now, true) as is_alive from t_lived) b
full join (select person_id, purpose, ends_at, coalesce(ends_at > :now, true) as is_alive from intake.person_purpose) a
  on a.person_id = b.person_id and a.purpose = b.purpose
group by 1 order by 1
"""
_POINTS = "select contact_point_id from intake.contact_point where contact_point_id > :after order by 1 limit :limit"


def applied_policy(conn: Connection) -> RowMapping | None:
    """The policy that was applied last: policy_hash, version, body, changes, applied_by, applied_at."""
    newest = select(POLICY_VERSION).order_by(POLICY_VERSION.c.applied_no.desc()).limit(1)
    return conn.execute(newest).mappings().one_or_none()


def add_policy(conn: Connection, row: dict[str, Any]) -> None:
    """Keep a policy as applied."""
    conn.execute(insert(POLICY_VERSION).values(row))


def remember_purposes(conn: Connection) -> None:
    """Take down for how long each purpose lives, to be compared with later in this transaction."""
    conn.execute(text("drop table if exists pg_temp.t_lived"))
    conn.execute(text(_REMEMBER))


def compare_purposes(conn: Connection, *, now: Any) -> list[dict[str, Any]]:
    """By purpose, for how many people it begins, ends, lives longer or shorter than remembered, and lives now."""
    return [dict(row) for row in conn.execute(text(_COMPARE), {"now": now}).mappings()]


def iter_points(conn: Connection, *, limit: int) -> Iterator[list[UUID]]:
    """The ids of all contact points, some at a time."""
    after = UUID(int=0)
    while points := list(conn.execute(text(_POINTS), {"after": after, "limit": limit}).scalars()):
        yield points
        after = points[-1]
