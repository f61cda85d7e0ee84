"""Finance's daily work on its tables: looking entries up, correcting a field, letting go of what is past its time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update

from connectors.finance.tables import CORRECTION, ENTRY, PARTY, REFUSAL
from schemas.errors import ConfigurationError
from schemas.finance import PARTY_FIELDS

_FIND = f"""
select distinct entry_id from finance.party
where {" or ".join(f"lower({field}) = lower(:written)" for field in PARTY_FIELDS)}
"""


@dataclass(frozen=True)
class Correction:
    """One field of one party set right: why, and by whom (a name)."""

    entry_id: UUID
    role: str
    field: str
    after: str | None
    reason: str
    by: str


def list_entries(conn: Connection, *, refused_only: bool = False, limit: int = 500) -> list[dict[str, Any]]:
    """Entries by id with what is wrong in them, newest first; no value of a party is shown."""
    faults = select(
        REFUSAL.c.entry_id, func.string_agg(REFUSAL.c.role + " " + REFUSAL.c.field, ", ").label("refused")
    ).group_by(REFUSAL.c.entry_id)
    refused = faults.subquery()
    shown = [ENTRY.c[name] for name in ("entry_id", "feed", "kind", "dated_on", "amount", "kept_until")]
    query = select(*shown, refused.c.refused).join(refused, refused.c.entry_id == ENTRY.c.entry_id, isouter=True)
    if refused_only:
        query = query.where(refused.c.refused.is_not(None))
    query = query.order_by(ENTRY.c.dated_on.desc(), ENTRY.c.entry_id).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


def find_entries(conn: Connection, written: str) -> list[UUID]:
    """The entries of a party one of whose fields is exactly this, whatever its case."""
    return list(conn.execute(text(_FIND), {"written": written}).scalars())


def read_entries(conn: Connection, entry_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Entries in full: parties, refused values as written, corrections."""
    query = select(ENTRY).where(ENTRY.c.entry_id.in_(entry_ids)).order_by(ENTRY.c.dated_on, ENTRY.c.entry_id)
    found = [dict(row) for row in conn.execute(query).mappings()]
    for entry in found:
        for name, table in (("parties", PARTY), ("refusals", REFUSAL), ("corrections", CORRECTION)):
            rows = conn.execute(select(table).where(table.c.entry_id == entry["entry_id"])).mappings()
            entry[name] = [{key: value for key, value in row.items() if key != "entry_id"} for row in rows]
    return found


def correct_party(conn: Connection, correction: Correction) -> None:
    """Set a field of a party and keep what it was. ConfigurationError where the entry has no such party."""
    party = (PARTY.c.entry_id == correction.entry_id) & (PARTY.c.role == correction.role)
    row = conn.execute(select(PARTY).where(party).with_for_update()).mappings().one_or_none()
    if row is None:
        raise ConfigurationError(
            f"Entry {correction.entry_id} has no {correction.role}. See `crm-intake finance list`."
        )
    corrected = sorted({*row["corrected"], correction.field})
    conn.execute(update(PARTY).where(party).values({correction.field: correction.after, "corrected": corrected}))
    told = {name: getattr(correction, name) for name in ("entry_id", "role", "field", "after", "reason")}
    conn.execute(insert(CORRECTION).values(**told, before=row[correction.field], corrected_by=correction.by))
    same = (REFUSAL.c.entry_id == correction.entry_id) & (REFUSAL.c.role == correction.role)
    conn.execute(delete(REFUSAL).where(same, REFUSAL.c.field == correction.field))


def entries_past(conn: Connection, today: date) -> list[dict[str, Any]]:
    """How many entries are past their last day, by fiscal year and class."""
    keys = (ENTRY.c.fiscal_year_end, ENTRY.c.record_class, ENTRY.c.kept_until)
    query = (
        select(*keys, func.count().label("entries")).where(ENTRY.c.kept_until < today).group_by(*keys).order_by(*keys)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def delete_past(conn: Connection, today: date) -> int:
    """Delete the entries past their last day, with all that hangs on them."""
    return conn.execute(delete(ENTRY).where(ENTRY.c.kept_until < today)).rowcount
