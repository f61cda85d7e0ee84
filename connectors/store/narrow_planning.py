"""A plan for a few addresses beside a run that is under way: what is open for them is set aside, nothing else is touched.

What a narrow synchronisation writes down bears a name that tells it apart, so that no run takes their writes for its own.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

PREFIX = "narrow:"

# Never waits: what another transaction has, a claim for a moment or a plan for minutes, is that address's affair alone.
_SET_ASIDE = """
with free as materialized (
    select intent_id from intake.outbox_intent
    where state in ('pending', 'waiting') and contact_point_id = any(:ids) for update skip locked)
update intake.outbox_intent i set state = 'superseded', finished_at = now(), code = 'narrow'
from free f where i.intent_id = f.intent_id
"""

_NOT_SET_ASIDE = """
select distinct contact_point_id from intake.outbox_intent
where state in ('pending', 'waiting') and contact_point_id = any(:ids)
"""

# In one order, as merging and acts take them.
_OVERTAKE = """
with taken as materialized (
    select contact_point_id from intake.contact_point where contact_point_id = any(:ids)
    order by contact_point_id for no key update)
update intake.contact_point c set version = c.version + 1 from taken t where c.contact_point_id = t.contact_point_id
"""

_UNDER_WAY = """
select distinct contact_point_id from intake.outbox_intent
where contact_point_id = any(:ids) and (state = 'claimed' or finished_at >= :since and state <> 'superseded')
  and run_id <> :run_id
"""

_UNDONE = """
select contact_point_id, bool_or(state in ('refused', 'conflict'))
    and not bool_or(state = 'refused' and coalesce(status, 0) >= 500) as is_refused from intake.outbox_intent
where run_id = :run_id and contact_point_id = any(:ids) and state <> 'acknowledged' group by contact_point_id
"""


def set_aside(conn: Connection, contact_point_ids: Sequence[UUID]) -> set[UUID]:
    """Supersede what other plans meant for these addresses: they are planned anew, here.

    Returns those of which another transaction has some of it just now: what becomes of that is not known yet.
    """
    values = {"ids": list(contact_point_ids)}
    conn.execute(text(_SET_ASIDE), values)
    return set(conn.execute(text(_NOT_SET_ASIDE), values).scalars())


def overtake(conn: Connection, contact_point_ids: Sequence[UUID]) -> None:
    """Give these addresses a version of their own, so that no plan that was read before this one raises or lowers after it.

    Such a plan may not have been committed yet, so that nothing of it could be set aside.
    """
    conn.execute(text(_OVERTAKE), {"ids": list(contact_point_ids)})


def under_way(conn: Connection, contact_point_ids: Sequence[UUID], run_id: UUID, *, since: datetime) -> set[UUID]:
    """The addresses of which another run has a write without an answer, or had one answered since an instant."""
    values = {"ids": list(contact_point_ids), "run_id": run_id, "since": since}
    return set(conn.execute(text(_UNDER_WAY), values).scalars())


def unacknowledged(conn: Connection, contact_point_ids: Sequence[UUID], run_id: UUID) -> dict[UUID, bool]:
    """The addresses of which some write of this run was not acknowledged, with whether the CRM took one of them not.

    What it failed at itself is none of those: it may well take it a minute later.
    """
    found = conn.execute(text(_UNDONE), {"ids": list(contact_point_ids), "run_id": run_id})
    return {row.contact_point_id: row.is_refused for row in found}


def store_time(conn: Connection) -> datetime:
    """The store's own clock: what it dates by is compared with nothing else."""
    found: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    return found
