"""A plan for a few addresses beside a run that is under way: what is open for them is set aside, nothing else is touched.

What a narrow synchronisation writes down bears a name that tells it apart, so that no run takes their writes for its own.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

PREFIX = "narrow:"

# Waits for claims that are being made: what it finds then is either set aside or claimed for good.
_SET_ASIDE = """
update intake.outbox_intent set state = 'superseded', finished_at = now(), code = 'narrow'
where state in ('pending', 'waiting') and contact_point_id = any(:ids)
"""

_UNDER_WAY = """
select distinct contact_point_id from intake.outbox_intent
where contact_point_id = any(:ids) and (state = 'claimed' or finished_at >= :since and state <> 'superseded')
  and run_id <> :run_id
"""

_UNDONE = """
select distinct contact_point_id from intake.outbox_intent
where run_id = :run_id and contact_point_id = any(:ids) and state <> 'acknowledged'
"""


def set_aside(conn: Connection, contact_point_ids: Sequence[UUID]) -> None:
    """Supersede what other plans meant for these addresses: they are planned anew, here."""
    conn.execute(text(_SET_ASIDE), {"ids": list(contact_point_ids)})


def under_way(conn: Connection, contact_point_ids: Sequence[UUID], run_id: UUID, *, since: datetime) -> set[UUID]:
    """The addresses of which another run has a write without an answer, or had one answered since an instant."""
    values = {"ids": list(contact_point_ids), "run_id": run_id, "since": since}
    return set(conn.execute(text(_UNDER_WAY), values).scalars())


def unacknowledged(conn: Connection, contact_point_ids: Sequence[UUID], run_id: UUID) -> set[UUID]:
    """The addresses of which some write of this run was not acknowledged."""
    return set(conn.execute(text(_UNDONE), {"ids": list(contact_point_ids), "run_id": run_id}).scalars())


def store_time(conn: Connection) -> datetime:
    """The store's own clock: what it dates by is compared with nothing else."""
    found: datetime = conn.execute(text("select clock_timestamp()")).scalar_one()
    return found
