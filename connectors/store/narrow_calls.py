"""Calls for a narrow synchronisation: addresses that somebody acted on, so that the CRM is told at once and not at night.

A call is made in the transaction of the act. Whoever serves it holds the address under a lease: meanwhile no other run
plans for it or claims a write of it. What could not be served is called again later and later, and never forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

CHANNEL = "narrow_call"
LEASE = timedelta(minutes=10)
WAIT_FOR_CRM, WAIT_AFTER_REFUSAL = timedelta(minutes=1), timedelta(hours=1)
"""The longest pauses before a call is served again: what could not be sent is due soon after the CRM answers again; what
the CRM has refused it will most likely refuse again."""

_CALL = """
insert into intake.narrow_call (contact_point_id) select distinct unnest(cast(:ids as uuid[]))
on conflict (contact_point_id) do update set called_at = clock_timestamp(), due_at = clock_timestamp()
"""

# One that is called already is served sooner, and looked at again then.
_CALL_LATER = """
insert into intake.narrow_call (contact_point_id, due_at)
select unnest(cast(:ids as uuid[])), clock_timestamp() + :after on conflict (contact_point_id) do nothing
"""

_LEASE = """
update intake.narrow_call set leased_until = clock_timestamp() + :lease
where contact_point_id in (
    select contact_point_id from intake.narrow_call where due_at <= clock_timestamp()
    order by due_at limit :limit for update skip locked)
returning contact_point_id, called_at
"""

_SERVED = """
delete from intake.narrow_call n using unnest(cast(:ids as uuid[]), cast(:called as timestamptz[])) as s (id, called_at)
where n.contact_point_id = s.id and n.called_at = s.called_at
"""

_RELEASE = "update intake.narrow_call set leased_until = null where contact_point_id = any(:ids)"

# Called again meanwhile: due at once. Else 2 s, 4 s, 8 s … and at most as said.
_PUT_OFF = """
update intake.narrow_call n set tries = tries + 1,
    due_at = case when n.called_at > s.called_at then n.due_at
                  else clock_timestamp() + least(:most, interval '1 second' * 2 ^ least(n.tries + 1, 12)) end
from unnest(cast(:ids as uuid[]), cast(:called as timestamptz[])) as s (id, called_at)
where n.contact_point_id = s.id
"""

# Calls that are due, changes of address, and forms that were pushed.
_AWAITED = """
select (select count(*) from intake.narrow_call where due_at <= clock_timestamp()) as calls, least(
    (select min(called_at) from intake.narrow_call where due_at <= clock_timestamp()),
    (select min(asked_at) from intake.person_request where state = 'open' and kind = 'move'),
    (select min(b.landed_at) from intake.webhook_delivery d join intake.batch b using (batch_id)
     where b.state = 'landed')) as since
"""


@dataclass(frozen=True, slots=True)
class Call:
    """An address that the CRM is to be told of, and when that was asked for last."""

    contact_point_id: UUID
    called_at: datetime


@dataclass(frozen=True, slots=True)
class Awaited:
    """How many calls are due, and since when the oldest of all that is to be followed waits; None: nothing does."""

    calls: int
    since: datetime | None


def call(conn: Connection, contact_point_ids: Sequence[UUID]) -> None:
    """Ask for the CRM to be told of these addresses, in the transaction of what was done; wakes whoever listens."""
    conn.execute(text(_CALL), {"ids": list(contact_point_ids)})
    conn.execute(text("select pg_notify(:channel, '')"), {"channel": CHANNEL})


def call_later(conn: Connection, contact_point_ids: Sequence[UUID], *, after: timedelta) -> None:
    """Ask for these addresses to be looked at after a while, where they are not called anyhow."""
    if contact_point_ids:
        conn.execute(text(_CALL_LATER), {"ids": list(contact_point_ids), "after": after})


def call_by_events(conn: Connection, event_ids: Sequence[UUID]) -> None:
    """The same for the addresses that some events of the ledger are about."""
    statement = "select distinct contact_point_id from intake.consent_event where event_id = any(:ids)"
    found = list(conn.execute(text(statement), {"ids": list(event_ids)}).scalars())
    if found:
        call(conn, found)


def call_lowered(conn: Connection, run_id: UUID) -> None:
    """The same for the addresses at which what a run read withdrew something, or set aside what had agreed."""
    statement = (
        "select distinct e.contact_point_id from intake.reading g join intake.consent_event e using (reading_id)"
        " where g.run_id = :run_id and e.value = 'withdraw'"
        " union select e.contact_point_id from intake.consent_void v join intake.consent_event e using (event_key)"
        " where v.undo_run_id = :run_id and e.value = 'grant'"
        " and not exists (select from intake.undone_reading u where u.reading_id = v.reading_id)"
    )
    found = list(conn.execute(text(statement), {"run_id": run_id}).scalars())
    if found:
        call(conn, found)


def lease_due(conn: Connection, *, limit: int) -> list[Call]:
    """Take up to `limit` calls that are due, the longest due first. Only one at a time may serve: older leases are over."""
    rows = conn.execute(text(_LEASE), {"lease": LEASE, "limit": limit})
    return [Call(row.contact_point_id, row.called_at) for row in rows]


def mark_served(conn: Connection, calls: Sequence[Call]) -> None:
    """Forget calls that were served; an address that was called again meanwhile stays called."""
    conn.execute(text(_SERVED), _values(calls))


def put_off(conn: Connection, calls: Sequence[Call], *, most: timedelta) -> None:
    """Serve these later, after a pause that doubles with each try and is at most so long."""
    conn.execute(text(_PUT_OFF), {**_values(calls), "most": most})


def release(conn: Connection, calls: Sequence[Call]) -> None:
    """End the lease."""
    conn.execute(text(_RELEASE), {"ids": [one.contact_point_id for one in calls]})


def awaited(conn: Connection) -> Awaited:
    """What waits to be followed."""
    return Awaited(*conn.execute(text(_AWAITED)).one())


def _values(calls: Sequence[Call]) -> dict[str, list[UUID] | list[datetime]]:
    return {"ids": [one.contact_point_id for one in calls], "called": [one.called_at for one in calls]}
