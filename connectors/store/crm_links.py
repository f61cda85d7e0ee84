"""Where people's contacts in the CRM are: merged into another one there, or gone; and which other contacts bear an
address that is not to be mailed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from connectors.store.due_sql import DIRTY

_BEARERS = """
select p.person_id, p.contact_point_id from intake.person p left join intake.crm_link l using (person_id)
where coalesce(l.row_id, p.person_id) = :row_id
"""

_LINK = """
insert into intake.crm_link as old (person_id, row_id, state, since_at)
select p.person_id, :to, :state, :at
from intake.person p left join intake.crm_link l using (person_id)
where coalesce(l.row_id, p.person_id) = :row_id
on conflict (person_id) do update set row_id = excluded.row_id, state = excluded.state, since_at = excluded.since_at
"""

_DIRTY_BY_PERSON = """
update intake.contact_point c set version = version + 1
where c.contact_point_id in (
    select p.contact_point_id from intake.person p left join intake.crm_link l using (person_id)
    where coalesce(l.row_id, p.person_id) = any(:row_ids))
"""

# What we wrote and what stands in it still is remembered: it is to be taken back when its person's purposes end. One that
# we made goes whole then, unless others use it.
_RETIRE = """
update intake.crm_row set is_ours = false, edits = jsonb_build_object('merged', cast(:at as text)),
    columns = (select coalesce(jsonb_object_agg(w.key, w.value), '{}') from jsonb_each(written) w
        where w.value = coalesce(cast(:columns as jsonb) -> w.key, w.value))
where table_name = 'contact' and row_id = :row_id
"""

# One that we made is its person's again, with what we wrote and nobody reads back (the link). Of any other nobody
# remembers whose it was: what we wrote of it goes.
_SPLIT = (
    """
    update intake.crm_row r set is_ours = true, edits = '{}', contact_point_id = p.contact_point_id,
        columns = jsonb_strip_nulls(coalesce(r.written, '{}') || cast(:columns as jsonb))
    from intake.person p where r.table_name = 'contact' and r.row_id = :row_id and p.person_id = r.row_id
    """,
    "delete from intake.crm_link where person_id = :row_id and state = 'merged'",
    """
    update intake.crm_row set edits = edits - 'merged', columns = columns || jsonb_strip_nulls(cast(:columns as jsonb))
    where table_name = 'contact' and row_id = :row_id and not is_ours
    """,
)

_WRITTEN = """
select written -> :column = cast(:value as jsonb) from intake.crm_row where table_name = 'contact' and row_id = :row_id
"""

_ADOPT = """
insert into intake.crm_row as old (table_name, row_id, contact_point_id, is_ours, columns, edits)
values ('contact', :row_id, :contact_point_id, false, jsonb_strip_nulls(cast(:columns as jsonb)), cast(:edits as jsonb))
on conflict (table_name, row_id) do update set
    contact_point_id = excluded.contact_point_id, columns = excluded.columns, edits = old.edits || excluded.edits
"""

# A withdrawal (w) that does not hold yet for whoever reads another address: it is not there as of that time, nor is a later one
# without a name by the same clock.
_IS_MISSING = """
w.value = 'withdraw' and not exists (select from intake.consent_void v where v.event_key = w.event_key) and not exists (
    select from intake.contact_point t
    join intake.consent_event e on e.contact_point_id = t.contact_point_id
    left join intake.subject s on s.subject_id = e.subject_id
    where t.address_key = {key} and e.value = 'withdraw' and e.purpose = w.purpose and e.topic = w.topic
      and e.clock = w.clock and (e.effective_at = w.effective_at or (e.effective_at > w.effective_at and s.given_key = ''))
      and not exists (select from intake.consent_void v where v.event_key = e.event_key))
"""

_MISSING = f"""
select distinct purpose, topic, clock, effective_at from intake.consent_event w
where contact_point_id = :id and {_IS_MISSING.format(key=":key")} order by purpose, topic, clock, effective_at
"""

# Merges are few: the search begins at them. A contact that was not ours bears an address of its own.
_UNCARRIED = f"""
with shared as (
    select distinct row_id from intake.crm_link
    where state = 'merged' and (cast(:among as uuid[]) is null or row_id in (
        select coalesce(l.row_id, p.person_id) from intake.person p left join intake.crm_link l using (person_id)
        where p.contact_point_id = any(:among)))
), bearer as (
    select s.row_id, p.person_id, p.contact_point_id, p.given_name, p.family_name,
           case when l.state = 'merged' then l.since_at else '-infinity' end as since_at
    from shared s join intake.crm_link l on l.row_id = s.row_id join intake.person p on p.person_id = l.person_id
    union all
    select s.row_id, p.person_id, p.contact_point_id, p.given_name, p.family_name, '-infinity'
    from shared s join intake.person p on p.person_id = s.row_id
    where not exists (select from intake.crm_link l where l.person_id = p.person_id)
), borne as (
    select b.row_id, c.address, c.address_key, true as is_persons, b.given_name, b.family_name, b.since_at
    from bearer b join intake.contact_point c using (contact_point_id)
    union all
    select r.row_id, m.address, lower(m.address), false, null, null, '-infinity'
    from shared s join intake.crm_row r on r.table_name = 'contact' and r.row_id = s.row_id
    cross join lateral (select r.columns ->> 'emailaddress1' as address) m
    where m.address <> '' and not exists (
        select from bearer b join intake.contact_point c using (contact_point_id)
        where b.row_id = r.row_id and c.address_key = lower(m.address))
)
select distinct b.contact_point_id, o.address, w.purpose, w.topic, w.clock, w.effective_at,
       w.effective_at <= greatest(b.since_at, o.since_at) as was_before, b.given_name, b.family_name,
       o.is_persons, o.given_name as other_given_name, o.family_name as other_family_name
from bearer b
join intake.contact_point c on c.contact_point_id = b.contact_point_id
join intake.consent_event w on w.contact_point_id = b.contact_point_id
join borne o on o.row_id = b.row_id and o.address_key <> c.address_key
where {_IS_MISSING.format(key="o.address_key")} order by b.contact_point_id, o.address, w.effective_at
"""

_SUPPRESSED = """
select c.contact_point_id, c.address, c.address_key
from intake.contact_point c join intake.consent_state s using (contact_point_id)
where s.purpose = 'marketing' and s.topic = '' and s.state = 'withdrawn'
"""

_UNSOUGHT = f"{_SUPPRESSED} and c.sought_at is null"
_AMONG = "(cast(:among as uuid[]) is null or c.contact_point_id = any(:among))"
_IS_DIRTY = f"c.contact_point_id in ({DIRTY})"
_UNSOUGHT_AND_DUE = f"{_UNSOUGHT} and {_IS_DIRTY} and {_AMONG} order by c.contact_point_id"

_NOT_SUPPRESSED_ANY_MORE = f"""
select c.contact_point_id, c.address, c.address_key from intake.contact_point c
where c.sought_at is not null and {_IS_DIRTY} and {_AMONG} and not exists (
    select from intake.consent_state s where s.contact_point_id = c.contact_point_id
       and s.purpose = 'marketing' and s.topic = '' and s.state = 'withdrawn')
order by c.contact_point_id
"""


def contact_points_of(conn: Connection, row_id: UUID) -> list[UUID]:
    """The addresses of the people whose contact in the CRM is this row."""
    return [row.contact_point_id for row in conn.execute(text(_BEARERS), {"row_id": row_id})]


def follow_merge(conn: Connection, loser_id: UUID, master_id: UUID, *, at: datetime, columns: str) -> None:
    """The contact of whoever had the one is the other from now on; `columns`: the loser's as it was put away (JSON)."""
    values = {"row_id": loser_id, "to": master_id, "state": "merged", "at": at}
    conn.execute(text(_LINK), values)
    conn.execute(text(_RETIRE), {"row_id": loser_id, "at": at.isoformat(), "columns": columns})
    conn.execute(text(_DIRTY_BY_PERSON), {"row_ids": [master_id]})


def follow_split(conn: Connection, row_id: UUID, *, columns: str) -> None:
    """A contact that was merged away is active again, with these columns (JSON)."""
    made = "select row_id from intake.crm_link where person_id = :row_id"
    shown = [row_id, *conn.execute(text(made), {"row_id": row_id}).scalars()]
    conn.execute(text(_DIRTY_BY_PERSON), {"row_ids": shown})
    for statement in _SPLIT:
        conn.execute(text(statement), {"row_id": row_id, "columns": columns})
    bearer = "select contact_point_id from intake.crm_row where table_name = 'contact' and row_id = :row_id"
    dirty = f"update intake.contact_point set version = version + 1 where contact_point_id in ({bearer})"
    conn.execute(text(dirty), {"row_id": row_id})


def has_written(conn: Connection, row_id: UUID, column: str, value: str) -> bool:
    """Whether a value (JSON) is what we last wrote into a column of a contact."""
    found = conn.execute(text(_WRITTEN), {"row_id": row_id, "column": column, "value": value}).scalar()
    return bool(found)


def keep_master(conn: Connection, row_id: UUID, *, contact_point_id: UUID, columns: str, edits: str) -> None:
    """Know a contact that was not ours, and into which one of ours was merged, as it is (JSON objects)."""
    values = {"row_id": row_id, "contact_point_id": contact_point_id, "columns": columns, "edits": edits}
    conn.execute(text(_ADOPT), values)


def mark_gone(conn: Connection, row_id: UUID, *, at: datetime) -> None:
    """Somebody deleted this contact: whoever had it has none, until they act anew."""
    conn.execute(text(_DIRTY_BY_PERSON), {"row_ids": [row_id]})
    conn.execute(text(_LINK), {"row_id": row_id, "to": row_id, "state": "gone", "at": at})


def missing_withdrawals(conn: Connection, contact_point_id: UUID, key: str) -> Sequence[RowMapping]:
    """The withdrawals at an address that do not hold at another (its canonical key) yet: purpose, topic ('' = the whole),
    clock, effective_at.
    """
    return conn.execute(text(_MISSING), {"id": contact_point_id, "key": key}).mappings().all()


def uncarried(conn: Connection, *, among: Sequence[UUID] | None = None) -> Sequence[RowMapping]:
    """Withdrawals at an address (of some, and those that share a contact with them) that do not hold yet at another `address`
    of a contact that staff merged theirs into: contact_point_id, purpose, topic, clock, effective_at.

    With whether it was made before that merge, and the names of who has the contact, and of who has it under the other address
    (`is_persons`: somebody of ours).
    """
    return conn.execute(text(_UNCARRIED), {"among": None if among is None else list(among)}).mappings().all()


def address_of(conn: Connection, contact_point_id: UUID) -> str:
    """The address of a contact point."""
    statement = "select address from intake.contact_point where contact_point_id = :id"
    return str(conn.execute(text(statement), {"id": contact_point_id}).scalar_one())


def points_of_keys(conn: Connection, keys: Sequence[str]) -> list[UUID]:
    """The contact points of canonical addresses; those that nobody knows are absent."""
    statement = (
        "select contact_point_id from intake.contact_point where address_key = any(:keys) order by contact_point_id"
    )
    return list(conn.execute(text(statement), {"keys": list(keys)}).scalars())


def suppressed_keys(conn: Connection, keys: Sequence[str]) -> frozenset[str]:
    """Which of these canonical addresses are not to be mailed."""
    found = conn.execute(text(f"{_SUPPRESSED} and c.address_key = any(:keys)"), {"keys": list(keys)})
    return frozenset(row.address_key for row in found)


def suppressed_unsought(conn: Connection) -> list[UUID]:
    """Every suppressed address whose other contacts in the CRM were not sought yet."""
    return list(conn.execute(text(_UNSOUGHT)).scalars())


def addresses_to_seek(conn: Connection, *, among: Sequence[UUID] | None = None) -> Sequence[Any]:
    """Those of them (of some) that are about to be planned: contact_point_id, address, address_key."""
    return conn.execute(text(_UNSOUGHT_AND_DUE), {"among": None if among is None else list(among)}).all()


def addresses_let_go(conn: Connection, *, among: Sequence[UUID] | None = None) -> Sequence[Any]:
    """Addresses (of some) about to be planned whose contacts were sought, and which are suppressed no more; as above."""
    return conn.execute(text(_NOT_SUPPRESSED_ANY_MORE), {"among": None if among is None else list(among)}).all()


def mark_sought(conn: Connection, contact_point_ids: Sequence[UUID], *, at: datetime | None) -> None:
    """All contacts with these addresses are known; those that come to bear one will be read as changed. `at` None: they will be
    sought anew when they are suppressed again.
    """
    statement = "update intake.contact_point set sought_at = :at where contact_point_id = any(:ids)"
    conn.execute(text(statement), {"at": at, "ids": list(contact_point_ids)})
