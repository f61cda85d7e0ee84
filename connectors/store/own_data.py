"""What the people's page shows of an address: who is known there, for what, since when, what was chosen, whom to ask.

One statement answers whether an address may be used for a purpose, for the live consent provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from connectors.store.naming import name_addresses, name_contact_points

# Whoever is known at the address, as a change of address counts them (connectors.store.corrections): also who has no living
# purpose, as somebody whose only registration is cancelled.
_PERSONS = """
select p.person_id, p.given_name, p.family_name, p.phone, p.organisation,
       coalesce(jsonb_agg(jsonb_build_object('purpose', u.purpose, 'begins_at', u.begins_at, 'ends_at', u.ends_at)
                          order by u.begins_at, u.purpose)
                filter (where u.purpose is not null and (u.ends_at is null or u.ends_at > :now)), '[]') as purposes
from intake.person p left join intake.person_purpose u using (person_id)
where p.contact_point_id = :id and exists (select from intake.subject s where s.person_id = p.person_id)
group by p.person_id order by p.person_id
"""

_STATES = "select purpose, topic, state from intake.consent_state where contact_point_id = :id order by purpose, topic"

_REGISTRATIONS = """
select o.name, o.starts_at, g.status, o.organiser_unit, o.organiser_contact
from intake.registration g join intake.occasion o using (occasion_pk)
where g.contact_point_id = :id and g.status <> 'deleted' order by o.starts_at desc nulls last, o.name limit 100
"""

_CHOICES = """
select e.purpose, e.topic, e.value, coalesce(e.occurred_at, e.received_at) as at
from intake.consent_event e
where e.contact_point_id = :id and not exists (select from intake.consent_void v where v.event_key = e.event_key)
order by 4 desc, e.purpose, e.topic limit 100
"""

# Granted only where the fold says so for the very purpose, or for the topic that is asked for, and while it lives for anybody.
_ALLOWED = """
select exists (
    select from intake.contact_point c join intake.consent_state s using (contact_point_id)
    where c.address_key = :key and s.purpose = :purpose and s.topic = :topic and s.state = 'granted'
      and exists (select from intake.person_purpose u where u.contact_point_id = c.contact_point_id
                  and u.purpose = s.purpose and (u.ends_at is null or u.ends_at > :now)))
"""

_RESTRICTED = """
select exists (select from intake.contact_point c join intake.restriction r using (contact_point_id)
               where c.address_key = :key)
"""

_LIVES = """
select exists (
    select from intake.contact_point c join intake.person_purpose u using (contact_point_id)
    where c.address_key = :key and u.purpose = :purpose and (u.ends_at is null or u.ends_at > :now)
      and not exists (select from intake.consent_state s where s.contact_point_id = c.contact_point_id
                      and s.purpose = u.purpose and s.topic = '' and s.state = 'withdrawn'))
"""

# A grant of one topic comes after a withdrawal of the whole as much as a grant of the whole does.
_LAST_ACT = """
select purpose, max(effective_at) filter (where value = 'withdraw' and topic = :topic) as withdrawn_at,
       max(effective_at) filter (where value = 'grant' and (:topic = '' or topic in ('', :topic))) as granted_at
from intake.consent_event where contact_point_id = :id and clock = any(:clocks)
group by purpose
"""


@dataclass(frozen=True, slots=True)
class OwnData:
    """What is held of an address: persons with their living purposes (or none), folded states, registrations, choices."""

    persons: Sequence[RowMapping]
    states: dict[tuple[str, str], str]
    registrations: Sequence[RowMapping]
    choices: Sequence[RowMapping]

    def is_on(self, purpose: str, topic: str) -> bool:
        """Whether a topic is granted for the address."""
        return self.states.get((purpose, topic)) == "granted"


def read_own_data(conn: Connection, contact_point_id: UUID, *, now: datetime) -> OwnData:
    """Everything the page shows; the newest first."""
    name_contact_points(conn, [contact_point_id])
    values: dict[str, Any] = {"id": contact_point_id}
    states = conn.execute(text(_STATES), values)
    return OwnData(
        conn.execute(text(_PERSONS), values | {"now": now}).mappings().all(),
        {(row.purpose, row.topic): row.state for row in states},
        conn.execute(text(_REGISTRATIONS), values).mappings().all(),
        conn.execute(text(_CHOICES), values).mappings().all(),
    )


def is_granted(conn: Connection, address_key: str, purpose: str, topic: str, *, now: datetime) -> bool:
    """Whether the ledger has a standing grant of a purpose, or of a topic of it (''= the whole), that lives at an address."""
    name_addresses(conn, [address_key])
    values = {"key": address_key, "purpose": purpose, "topic": topic, "now": now}
    return bool(conn.execute(text(_ALLOWED), values).scalar_one())


def is_restricted(conn: Connection, address_key: str) -> bool:
    """Whether processing is restricted for anybody at an address (GDPR Art. 18)."""
    name_addresses(conn, [address_key])
    return bool(conn.execute(text(_RESTRICTED), {"key": address_key}).scalar_one())


def is_alive(conn: Connection, address_key: str, purpose: str, *, now: datetime) -> bool:
    """Whether a purpose that needs no grant lives for somebody at an address, and was not objected to."""
    name_addresses(conn, [address_key])
    return bool(conn.execute(text(_LIVES), {"key": address_key, "purpose": purpose, "now": now}).scalar_one())


def lowered_since(
    conn: Connection,
    contact_point_id: UUID,
    purposes: Sequence[str],
    topic: str,
    *,
    clocks: Sequence[str],
    since: datetime,
) -> bool:
    """Whether acts at these doors lowered each of the purposes after an instant, and raised none of them since."""
    values = {"id": contact_point_id, "topic": topic, "clocks": list(clocks)}
    found = {row.purpose: row for row in conn.execute(text(_LAST_ACT), values)}
    return all(name in found and _stands(found[name].withdrawn_at, found[name].granted_at, since) for name in purposes)


def _stands(withdrawn_at: datetime | None, granted_at: datetime | None, since: datetime) -> bool:
    return withdrawn_at is not None and withdrawn_at > since and (granted_at is None or granted_at < withdrawn_at)
