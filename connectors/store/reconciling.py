"""What reconciliation asks of the store: which rows are ours, and all that may explain why one differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from connectors.store.planning import MAY_BE_WRITTEN

_OURS = """
select table_name, row_id from intake.crm_row
where is_ours and (cast(:among as uuid[]) is null or contact_point_id = any(:among))
"""

_SAMPLE = f"""
select contact_point_id from intake.contact_point where {MAY_BE_WRITTEN}
order by md5(contact_point_id::text || :seed) limit :size
"""

_ASKED = """
unnest(cast(:tables as text[]), cast(:ids as uuid[])) as k (table_name, row_id)
"""

_WRITES = f"""
select i.table_name, i.row_id, i.method, i.state, i.code, i.columns, i.contact_point_id, i.occasion_pk
from intake.outbox_intent i join {_ASKED} using (table_name, row_id) order by i.intent_id desc
"""

_HELD = f"""
select r.table_name, r.row_id, case when not r.edits ? 'gone' then r.columns end as columns, r.contact_point_id
from intake.crm_row r
join {_ASKED} using (table_name, row_id)
"""

# Changed since it was planned: a newer version than any plan had, or an end that has passed since the last plan.
_ADDRESSES = """
select c.contact_point_id, cast(:allowed as text[]) is null or c.address_key = any(:allowed) as is_allowed,
       c.version > greatest(c.acked_version, p.planned_version)
       or coalesce(c.next_end_at <= :now and c.next_end_at > l.made_at, false) as has_changed
from intake.contact_point c
cross join (select max(made_at) as made_at from intake.plan) l
left join lateral (select max(i.planned_version) as planned_version from intake.outbox_intent i
                   where i.contact_point_id = c.contact_point_id) p on true
where c.contact_point_id = any(:ids)
"""

_OCCASIONS = """
select o.occasion_pk, o.version > greatest(o.acked_version, (
           select max(i.planned_version) from intake.outbox_intent i
           where i.row_id = o.occasion_pk and i.occasion_pk = o.occasion_pk)) as has_changed
from intake.occasion o where o.occasion_pk = any(:ids)
"""

RowKey = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class RowRecord:
    """All that the store has of one row: intents newest first, columns known (None: no row), its address's standing."""

    writes: Sequence[RowMapping]
    columns: dict[str, Any] | None
    has_changed: bool
    is_allowed: bool


def our_rows(conn: Connection, *, among: Sequence[UUID] | None = None) -> set[RowKey]:
    """The rows of ours that the CRM is known to hold (of given addresses)."""
    rows = conn.execute(text(_OURS), {"among": None if among is None else list(among)})
    return {(row.table_name, row.row_id) for row in rows}


def sample_addresses(conn: Connection, size: int, *, seed: str, allowed: Sequence[str] | None) -> list[UUID]:
    """Addresses by chance, the same for the same seed: of those of which the CRM may have rows."""
    values = {"size": size, "seed": seed, "allowed": None if allowed is None else list(allowed)}
    return list(conn.execute(text(_SAMPLE), values).scalars())


def records_of(
    conn: Connection, owners: dict[RowKey, UUID | None], *, now: datetime, allowed: Sequence[str] | None
) -> Iterator[tuple[RowKey, RowRecord]]:
    """What is known of each of the given rows; `owners` has the address of each, None where the store is to tell it."""
    keys = {"tables": [table for table, _ in owners], "ids": [row_id for _, row_id in owners]}
    writes: dict[RowKey, list[RowMapping]] = {}
    for row in conn.execute(text(_WRITES), keys).mappings():
        writes.setdefault((row["table_name"], row["row_id"]), []).append(row)
    held = {(row.table_name, row.row_id): row for row in conn.execute(text(_HELD), keys)}
    of = {key: owner or _owner(key, writes, held) for key, owner in owners.items()}
    addresses = {
        row.contact_point_id: row
        for row in conn.execute(
            text(_ADDRESSES),
            {"ids": [a for a in of.values() if a], "now": now, "allowed": None if allowed is None else list(allowed)},
        )
    }
    changed = {row.occasion_pk for row in conn.execute(text(_OCCASIONS), {"ids": keys["ids"]}) if row.has_changed}
    for key in owners:
        address = addresses.get(of[key]) if of[key] else None
        has_changed = address.has_changed if address is not None else key[1] in changed
        columns = held[key].columns if key in held else None
        yield key, RowRecord(writes.get(key, ()), columns, bool(has_changed), address is None or address.is_allowed)


def _owner(key: RowKey, writes: dict[RowKey, list[RowMapping]], held: dict[RowKey, Any]) -> UUID | None:
    if key in held and held[key].contact_point_id is not None:
        return held[key].contact_point_id  # type: ignore[no-any-return]
    return next((w["contact_point_id"] for w in writes.get(key, ()) if w["contact_point_id"]), None)
