"""Quarantine in the store: reading and closing its entries, and the cells that were mended, each under its batch's key.

A mended value is kept no longer than the payload it corrects: without the batch's key nobody can read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, delete, insert, select, text

from connectors.store.keys import KeyRing
from connectors.store.landing import data_key_of, seal, unseal
from connectors.store.quarantine_tables import MENDED_CELL


@dataclass(frozen=True, slots=True)
class Entries:
    """Which quarantine entries are asked for; None asks for all. `before`: first seen then or earlier."""

    state: str | None = "open"
    source: str | None = None
    feeds: Sequence[str] | None = None
    fault: str | None = None
    entry: int | None = None
    batch: UUID | None = None
    row_no: int | None = None
    before: datetime | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True)
class MendedCell:
    """One corrected cell: the row of its batch, from 1, the source's own title, what stood there as received, and the
    new value (None = blank)."""

    row_no: int
    column_title: str
    received: str | None
    value: str | None


_LIST = """
select quarantine_id, source, feed, batch_id, row_no, submission_id, field, column_title, fault, value_class, blocks,
       state, first_seen_at, closed_at, closed_by, close_reason
from intake.quarantine
where (cast(:state as text) is null or state = :state) and (cast(:source as text) is null or source = :source)
  and (cast(:feeds as text[]) is null or feed = any(:feeds)) and (cast(:fault as text) is null or fault = :fault)
  and (cast(:entry as bigint) is null or quarantine_id = :entry)
  and (cast(:batch as uuid) is null or batch_id = :batch) and (cast(:row_no as integer) is null or row_no = :row_no)
  and (cast(:before as timestamptz) is null or first_seen_at <= :before)
order by first_seen_at, quarantine_id limit :limit
"""
_DISCARD = """
update intake.quarantine set state = 'discarded', closed_at = :at, closed_by = :by, close_reason = :reason
where quarantine_id = :entry and state = 'open'
"""
_AGES = """
select source, feed, fault, count(*) as open, min(first_seen_at) as oldest_at,
       (array_agg(quarantine_id order by first_seen_at, quarantine_id))[1] as oldest_entry
from intake.quarantine where state = 'open' group by source, feed, fault order by oldest_at, feed, fault
"""


def read_quarantine(conn: Connection, asked: Entries) -> list[dict[str, Any]]:
    """Quarantine entries, oldest first; no value is in them."""
    parameters = {name: getattr(asked, name) for name in Entries.__slots__}
    parameters["feeds"] = None if asked.feeds is None else list(asked.feeds)
    return [dict(row) for row in conn.execute(text(_LIST), parameters).mappings()]


def count_open(conn: Connection) -> list[dict[str, Any]]:
    """Open entries by source, feed and fault, with the first of each; oldest first."""
    return [dict(row) for row in conn.execute(text(_AGES)).mappings()]


def discard_entry(conn: Connection, entry: int, *, by: str, reason: str, at: datetime) -> bool:
    """Close an open entry without mending it; False where it was not open."""
    parameters = {"entry": entry, "by": by, "reason": reason, "at": at}
    return conn.execute(text(_DISCARD), parameters).rowcount > 0


def put_mended(
    conn: Connection, batch_id: UUID, cells: Sequence[MendedCell], *, keys: KeyRing, signed: tuple[str, str]
) -> None:
    """Keep corrected cells of a batch, with who corrected them and why (`signed`). BatchRefused as `get_payload`."""
    data_key = data_key_of(conn, batch_id, keys=keys)
    by, reason = signed
    rows = [
        {
            "batch_id": batch_id,
            "row_no": cell.row_no,
            "column_title": cell.column_title,
            "ciphertext": seal(
                data_key,
                orjson.dumps([cell.received, cell.value]),
                bound_to=_place(batch_id, cell.row_no, cell.column_title),
            ),
            "reason": reason,
            "mended_by": by,
        }
        for cell in cells
    ]
    if rows:
        conn.execute(insert(MENDED_CELL), rows)


def delete_mended(conn: Connection, batch_id: UUID, row_nos: Sequence[int]) -> None:
    """Forget the corrected cells of some rows."""
    of_rows = MENDED_CELL.c.batch_id == batch_id, MENDED_CELL.c.row_no.in_(list(row_nos))
    conn.execute(delete(MENDED_CELL).where(*of_rows))


def get_mended(conn: Connection, batch_id: UUID, *, keys: KeyRing) -> list[MendedCell]:
    """The corrected cells of a batch, the last word on each; empty where nothing was corrected."""
    query = select(MENDED_CELL).where(MENDED_CELL.c.batch_id == batch_id).order_by(MENDED_CELL.c.edit_no)
    last = {(row.row_no, row.column_title): row.ciphertext for row in conn.execute(query)}
    if not last:
        return []
    data_key = data_key_of(conn, batch_id, keys=keys)
    return [
        MendedCell(row_no, title, *orjson.loads(unseal(data_key, sealed, bound_to=_place(batch_id, row_no, title))))
        for (row_no, title), sealed in last.items()
    ]


def read_mendings(conn: Connection, batch_id: UUID, row_no: int) -> list[dict[str, Any]]:
    """Who corrected which column of a row, when and why, in order; no value is in it."""
    named = (MENDED_CELL.c.column_title, MENDED_CELL.c.reason, MENDED_CELL.c.mended_by, MENDED_CELL.c.mended_at)
    query = select(*named).where(MENDED_CELL.c.batch_id == batch_id, MENDED_CELL.c.row_no == row_no)
    return [dict(row) for row in conn.execute(query.order_by(MENDED_CELL.c.edit_no)).mappings()]


def _place(batch_id: UUID, row_no: int, title: str) -> bytes:
    return b"cell" + batch_id.bytes + row_no.to_bytes(8, "big") + title.encode()
