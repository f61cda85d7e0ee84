"""Adoption in the store: which addresses to look up, who has no contact yet, and what was found.

A row that the CRM had by itself stands in `crm_row` with `is_ours` false, its columns as the CRM holds them; what we
write of it later is kept apart in `written`.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from connectors.store.due_sql import DUE
from connectors.store.planning import MAY_BE_WRITTEN

_ADDRESSES = f"""
select contact_point_id, address, address_key from intake.contact_point
where contact_point_id in (select contact_point_id from intake.contact_point where :every union all {DUE})
  and {MAY_BE_WRITTEN}
  and (cast(:among as uuid[]) is null or contact_point_id = any(:among))
order by contact_point_id
"""

# Those for whom a contact would be made: some purpose lives, and the CRM has none of theirs, wherever it may be now.
_PERSONS = """
select p.person_id, p.contact_point_id, p.given_name, p.family_name
from intake.person p
where p.contact_point_id = any(:ids)
  and exists (select from intake.person_purpose u
              where u.person_id = p.person_id and (u.ends_at is null or u.ends_at > :now))
  and not exists (select from intake.crm_link l where l.person_id = p.person_id)
  and not exists (select from intake.crm_row r where r.table_name = 'contact' and r.row_id = p.person_id)
order by p.person_id
"""

_TAKEN = """
select person_id as row_id from intake.person where person_id = any(:ids)
union select row_id from intake.crm_link where row_id = any(:ids)
union select row_id from intake.crm_row where table_name = 'contact' and is_ours and row_id = any(:ids)
"""

# A narrow synchronisation that is under way has made them in the CRM, maybe, and has no answer yet.
_MAKING = """
select row_id from intake.outbox_intent
where row_id = any(:ids) and method = 'upsert' and state = 'claimed' and finished_at is null
"""

_RULED_OUT = """
select w.contact_point_id, w.row_id, unnest(w.persons) as person_id from intake.crm_review w
where w.contact_point_id = any(:ids) and w.state = 'new'
"""

# What is known of a row already is the read-back's to change; a stranger that turns out to be ours gains columns, and one
# that was noted before anybody knew its address is filed under it.
_SAVE_ROW = """
insert into intake.crm_row as old (table_name, row_id, contact_point_id, is_ours, columns)
values (:table, :row_id, :contact_point_id, false, cast(:columns as jsonb))
on conflict (table_name, row_id) do update set columns = excluded.columns || old.columns,
    contact_point_id = coalesce(old.contact_point_id, excluded.contact_point_id)
where not old.is_ours and (old.contact_point_id is null or not old.columns @> excluded.columns)
returning contact_point_id
"""

_SAVE_LINK = """
insert into intake.crm_link (person_id, row_id, state, since_at) values (:person_id, :row_id, 'adopted', :at)
on conflict (person_id) do nothing
"""

_SAVE_REVIEW = """
insert into intake.crm_review as old (row_id, contact_point_id, persons, reason, first_seen_at)
values (:row_id, :contact_point_id, :persons, :reason, :at)
on conflict (contact_point_id, row_id) do update set persons = excluded.persons, reason = excluded.reason,
    state = case when old.state = 'ignored' then 'ignored' else 'open' end
where old.state in ('open', 'ignored', 'settled')
"""

_SETTLE_REVIEWS = """
update intake.crm_review set state = 'settled'
where state = 'open' and contact_point_id = any(:ids) and not (review_id = any(:kept))
"""

_BUMP = """
update intake.contact_point set version = version + 1 where contact_point_id = any(:ids)
"""

_EVIDENCED = """
select c.address_key, s.purpose from intake.consent_state s join intake.contact_point c using (contact_point_id)
where s.topic = ''
union
select c.address_key, u.purpose from intake.person_purpose u join intake.contact_point c using (contact_point_id)
where u.ends_at is null or u.ends_at > :now
"""


@dataclass(frozen=True, slots=True)
class Address:
    """An address of ours: its form of record and its canonical key."""

    contact_point_id: UUID
    address: str
    key: str


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row that the CRM had by itself, under the address that it belongs to."""

    table: str
    row_id: UUID
    contact_point_id: UUID
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A contact that somebody has to decide about."""

    row_id: UUID
    contact_point_id: UUID
    persons: Sequence[UUID]
    reason: str


def addresses(
    conn: Connection,
    *,
    now: datetime,
    every: bool = False,
    allowed: Sequence[str] | None = None,
    among: Sequence[UUID] | None = None,
) -> list[Address]:
    """The addresses that are to be planned (or every one, or those of some), in the order of their ids."""
    values = {
        "now": now,
        "every": every,
        "allowed": None if allowed is None else list(allowed),
        "among": None if among is None else list(among),
    }
    return [Address(*row) for row in conn.execute(text(_ADDRESSES), values)]


def persons_without_contact(
    conn: Connection, contact_point_ids: Sequence[UUID], *, now: datetime
) -> dict[UUID, list[Any]]:
    """By address: person_id, given_name and family_name of each person who is to have a contact and has none yet."""
    found: dict[UUID, list[Any]] = {}
    for row in conn.execute(text(_PERSONS), {"ids": list(contact_point_ids), "now": now}):
        found.setdefault(row.contact_point_id, []).append(row)
    return found


def taken_contacts(conn: Connection, row_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the contacts that are a person's of ours already, or that we made."""
    return set(conn.execute(text(_TAKEN), {"ids": list(row_ids)}).scalars())


def known_ids(conn: Connection, row_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the rows that are known already, or that we are making: what they say is the read-back's to tell."""
    statement = f"select row_id from intake.crm_row where row_id = any(:ids) union {_MAKING}"
    return set(conn.execute(text(statement), {"ids": list(row_ids)}).scalars())


def our_ids(conn: Connection, row_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the rows that we made, or are making."""
    statement = f"select row_id from intake.crm_row where is_ours and row_id = any(:ids) union {_MAKING}"
    return set(conn.execute(text(statement), {"ids": list(row_ids)}).scalars())


def ruled_out(conn: Connection, contact_point_ids: Sequence[UUID]) -> dict[UUID, frozenset[tuple[UUID, UUID]]]:
    """By address: the pairs (row id, person id) of which somebody decided that they are not one."""
    pairs: dict[UUID, set[tuple[UUID, UUID]]] = {}
    for row in conn.execute(text(_RULED_OUT), {"ids": list(contact_point_ids)}):
        pairs.setdefault(row.contact_point_id, set()).add((row.row_id, row.person_id))
    return {key: frozenset(found) for key, found in pairs.items()}


def save_rows(conn: Connection, rows: Sequence[FoundRow]) -> None:
    """Keep what the CRM has by itself; an address of which something was new is to be planned again."""
    known = _known(conn, rows)
    fresh = [row for row in rows if not row.columns.keys() <= known.get((row.table, row.row_id), set())]
    if not fresh:
        return
    conn.execute(text(_SAVE_ROW), [_values(row) for row in fresh])
    bump(conn, sorted({row.contact_point_id for row in fresh}))


def _known(conn: Connection, rows: Sequence[FoundRow]) -> dict[tuple[str, UUID], Set[str]]:
    """The columns that are known of rows which are filed under an address."""
    statement = (
        "select table_name, row_id, columns from intake.crm_row"
        " where row_id = any(:ids) and contact_point_id is not null"
    )
    found = conn.execute(text(statement), {"ids": [row.row_id for row in rows]})
    return {(row.table_name, row.row_id): row.columns.keys() for row in found}


def _values(row: FoundRow) -> dict[str, Any]:
    return {
        "table": row.table,
        "row_id": row.row_id,
        "contact_point_id": row.contact_point_id,
        "columns": orjson.dumps(dict(row.columns)).decode(),
    }


def save_links(conn: Connection, links: Mapping[UUID, UUID], *, at: datetime) -> None:
    """Give persons the contacts (row ids) that the CRM has of them."""
    if links:
        conn.execute(text(_SAVE_LINK), [{"person_id": p, "row_id": r, "at": at} for p, r in links.items()])


def save_reviews(
    conn: Connection, contact_point_ids: Sequence[UUID], reviews: Sequence[Doubtful], *, at: datetime
) -> None:
    """Put contacts up for decision; those of the addresses that are in doubt no more are settled."""
    if reviews:
        conn.execute(
            text(_SAVE_REVIEW),
            [
                {
                    "row_id": review.row_id,
                    "contact_point_id": review.contact_point_id,
                    "persons": list(review.persons),
                    "reason": review.reason,
                    "at": at,
                }
                for review in reviews
            ],
        )
    kept = _review_ids(conn, contact_point_ids, {(r.contact_point_id, r.row_id) for r in reviews})
    conn.execute(text(_SETTLE_REVIEWS), {"ids": list(contact_point_ids), "kept": kept})


def _review_ids(conn: Connection, contact_point_ids: Sequence[UUID], pairs: set[tuple[UUID, UUID]]) -> list[int]:
    statement = (
        "select review_id, contact_point_id, row_id from intake.crm_review"
        " where state = 'open' and contact_point_id = any(:ids)"
    )
    found = conn.execute(text(statement), {"ids": list(contact_point_ids)})
    return [row.review_id for row in found if (row.contact_point_id, row.row_id) in pairs]


def bump(conn: Connection, contact_point_ids: Sequence[UUID]) -> None:
    """Have addresses planned again."""
    conn.execute(text(_BUMP), {"ids": list(contact_point_ids)})


def evidenced(conn: Connection, *, now: datetime) -> set[tuple[str, str]]:
    """(canonical key, purpose) of which the ledger knows something, or that lives for somebody."""
    return {(row.address_key, row.purpose) for row in conn.execute(text(_EVIDENCED), {"now": now})}
