"""Reading what a plan needs: the addresses whose CRM rows may be out of date, and all that is known of each.

An address is dirty when its version is past the one the CRM acknowledged, or when the earliest end of one of its
purposes has passed.
One that a narrow synchronisation has under way is left to it. One that is not on the policy's allow list is read where the
CRM may have rows of it that are to be lowered, which are all that is planned for it until it is listed.
Cost follows the change: nothing here reads an address that is not asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from connectors.store.bearers import BEARERS_OF, IS_SHOWN, RANK
from connectors.store.due_sql import DIRTY

_IS_LISTED = "(cast(:allowed as text[]) is null or address_key = any(:allowed))"
# Each address is looked up by itself (`offset 0`).
MAY_BE_WRITTEN = f"""({_IS_LISTED} or exists (
    select from intake.crm_row r where r.contact_point_id = contact_point.contact_point_id offset 0) or exists (
    select from intake.consent_state s
    where s.contact_point_id = contact_point.contact_point_id and s.state = 'withdrawn' offset 0))"""

# The plan is written to the outbox while it is read for, so no estimate of the outbox holds: each address is looked up in
# it by itself (`offset 0`).
_FREE = f"""
  and not exists (select from intake.narrow_call n where n.contact_point_id = contact_point.contact_point_id
                  and n.leased_until > clock_timestamp())
  and not exists (select from intake.outbox_intent i where i.contact_point_id = contact_point.contact_point_id
                  and i.state = 'claimed' and i.writing like 'narrow:%' offset 0)
  and {MAY_BE_WRITTEN}
"""
_ADDRESS = f"contact_point_id, address, version, is_held, {_IS_LISTED} as is_listed"

# Each half has an index of its own, which one condition with `or`, in the order of the addresses, does not use: a day on
# a million people went through all of them. The few that have ended are put in order afterwards (`offset 0`).
_DIRTY = f"""
(select {_ADDRESS} from intake.contact_point
 where contact_point_id in ({DIRTY}) and contact_point_id > :after {_FREE}
 order by contact_point_id limit :limit)
union
(select * from (
     select {_ADDRESS} from intake.contact_point
     where next_end_at <= :now and contact_point_id > :after {_FREE} offset 0) ended
 order by contact_point_id limit :limit)
order by contact_point_id limit :limit
"""

_ALL = f"""
select {_ADDRESS} from intake.contact_point
where contact_point_id > :after and {MAY_BE_WRITTEN}
  and (cast(:among as uuid[]) is null or contact_point_id = any(:among))
order by contact_point_id limit :limit
"""

# A contact that staff merged others into is one person's to show (connectors.store.bearers): the rest only have
# registrations at it.
_PERSONS = f"""
select coalesce(l.row_id, p.person_id) as contact_id, p.person_id, p.contact_point_id, p.given_name, p.family_name, p.phone,
       array_agg(u.purpose order by u.purpose) as purposes, array_agg(u.ends_at order by u.purpose) as ends,
       l.row_id is not null and exists (
           select from ({BEARERS_OF.format("l.row_id")}) b
           where (b.rank, b.person_id) < ({RANK.format(person="p", link="l")}, p.person_id)) as is_elsewhere,
       coalesce(l.state = 'merged', false) as is_merged,
       l.row_id is null and exists (
           select from intake.crm_review w where w.contact_point_id = p.contact_point_id
             and w.state in ('open', 'ignored') and p.person_id = any(w.persons)) as is_in_review
from intake.person p join intake.person_purpose u using (person_id)
left join intake.crm_link l using (person_id)
where p.contact_point_id = any(:ids) and {IS_SHOWN.format(link="l")} group by p.person_id, l.row_id, l.state order by p.person_id
"""

# When submissions last said what people may have set right in the CRM.
_TOLD = """
select p.contact_point_id, r.row_id,
       max(n.told_at) filter (where n.has_name) as named_at, max(n.told_at) filter (where n.has_phone) as phoned_at,
       max(n.told_at) as told_at
from intake.person p
left join intake.crm_link l using (person_id)
join intake.crm_row r
  on r.table_name = 'contact' and r.row_id = coalesce(l.row_id, p.person_id) and r.edits <> '{}'
left join intake.subject s using (person_id)
left join lateral (
    select coalesce(u.submitted_from, u.received_at) as told_at, u.phone is not null as has_phone,
           coalesce(u.given_name, u.family_name) is not null as has_name
    from intake.submission u where u.subject_id = s.subject_id) n on true
where p.contact_point_id = any(:ids) group by p.contact_point_id, r.row_id order by r.row_id
"""

_CONSENTS = """
select contact_point_id, purpose, topic, state from intake.consent_state where contact_point_id = any(:ids)
order by contact_point_id, purpose, topic
"""

_REGISTRATIONS = """
select g.registration_id, g.contact_point_id, coalesce(l.row_id, s.person_id) as contact_id, g.occasion_pk,
       g.status, g.registered_at, coalesce(g.version_at, g.registered_at) as told_at, o.kind,
       coalesce(o.ends_at, o.starts_at, g.registered_at) as occasion_ended_at
from intake.registration g
join intake.subject s using (subject_id)
join intake.occasion o using (occasion_pk)
left join intake.crm_link l using (person_id)
where g.contact_point_id = any(:ids) and s.person_id is not null order by g.registration_id
"""

_ACKNOWLEDGED = """
select table_name, row_id, contact_point_id, is_ours, columns, written, edits,
       exists (select from intake.person p where p.person_id = row_id) as is_made
from intake.crm_row where contact_point_id = any(:ids)
order by table_name, row_id
"""

# In one order, as merging and acts take them.
_TAKE_UP_LISTED = f"""
with listed as materialized (
    select contact_point_id from intake.contact_point where awaits_listing and {_IS_LISTED}
    order by contact_point_id for no key update)
update intake.contact_point c set version = c.version + 1, awaits_listing = false
from listed l where c.contact_point_id = l.contact_point_id
"""

_AWAIT_LISTING = """
with unlisted as materialized (
    select contact_point_id from intake.contact_point where contact_point_id = any(:ids) and not awaits_listing
    order by contact_point_id for no key update)
update intake.contact_point c set awaits_listing = true from unlisted u where c.contact_point_id = u.contact_point_id
"""

# One that the CRM has is kept in step until retention removes it, also where nobody is registered for it any more.
_OCCASIONS = """
select o.occasion_pk, o.kind, o.name, o.starts_at, o.ends_at, o.version, r.columns
from intake.occasion o left join intake.crm_row r on r.table_name = :table and r.row_id = o.occasion_pk
where (o.version > o.acked_version or :every)
  and (r.row_id is not null or exists (select from intake.registration g where g.occasion_pk = o.occasion_pk))
order by o.occasion_pk
"""


@dataclass(frozen=True, slots=True)
class AddressRows:
    """One chunk of addresses and, by address, the rows known of each."""

    addresses: Sequence[RowMapping]
    persons: dict[UUID, list[RowMapping]]
    consents: dict[UUID, list[RowMapping]]
    registrations: dict[UUID, list[RowMapping]]
    acknowledged: dict[UUID, list[RowMapping]]
    told: dict[UUID, list[RowMapping]]


def iter_addresses(
    conn: Connection,
    *,
    now: datetime,
    showing: Sequence[str],
    every: bool = False,
    allowed: Sequence[str] | None = None,
    among: Sequence[UUID] | None = None,
    limit: int = 5000,
) -> Iterator[AddressRows]:
    """Dirty addresses (or every one, or every one `among` some) in chunks of at most `limit`, in the order of their ids.

    `showing` are the purposes that show a contact.
    """
    after = UUID(int=0)
    while True:
        parameters: dict[str, Any] = {
            "after": after,
            "limit": limit,
            "allowed": list(allowed) if allowed is not None else None,
        }
        parameters |= {"among": among if among is None else list(among)} if every else {"now": now}
        addresses = conn.execute(text(_ALL if every else _DIRTY), parameters).mappings().all()
        if not addresses:
            return
        yield load_addresses(conn, addresses, now=now, showing=showing)
        after = addresses[-1]["contact_point_id"]


def load_addresses(
    conn: Connection, addresses: Sequence[RowMapping], *, now: datetime, showing: Sequence[str]
) -> AddressRows:
    """What is known of the given addresses (rows with contact_point_id, address, version, is_held, is_listed)."""
    ids: dict[str, Any] = {"ids": [row["contact_point_id"] for row in addresses]}
    persons = _by_address(conn, _PERSONS, ids | {"now": now, "showing": list(showing)})
    queries = (_CONSENTS, _REGISTRATIONS, _ACKNOWLEDGED, _TOLD)
    return AddressRows(addresses, persons, *(_by_address(conn, query, ids) for query in queries))


def _by_address(conn: Connection, query: str, ids: dict[str, Any]) -> dict[UUID, list[RowMapping]]:
    grouped: dict[UUID, list[RowMapping]] = {}
    for row in conn.execute(text(query), ids).mappings().all():
        grouped.setdefault(row["contact_point_id"], []).append(row)
    return grouped


def take_up_listed(conn: Connection, allowed: Sequence[str] | None) -> None:
    """Have those planned anew that are on the allow list now and were not when they were planned."""
    conn.execute(text(_TAKE_UP_LISTED), {"allowed": None if allowed is None else list(allowed)})


def await_listing(conn: Connection, contact_point_ids: Sequence[UUID]) -> None:
    """Remember that only what lowers was planned for these."""
    if contact_point_ids:
        conn.execute(text(_AWAIT_LISTING), {"ids": list(contact_point_ids)})


def is_cut_over(conn: Connection) -> bool:
    """Whether somebody approved by name that opt-ins without evidence go."""
    return bool(
        conn.execute(text("select exists (select from intake.crm_cutover where approved_at is not null)")).scalar()
    )


def load_occasions(conn: Connection, *, table: str, every: bool = False) -> Sequence[RowMapping]:
    """Courses and events with a registration, or in the CRM, whose row there may be out of date (or every one)."""
    return conn.execute(text(_OCCASIONS), {"table": table, "every": every}).mappings().all()
