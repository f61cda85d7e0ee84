"""Who else bears an address that is not to be mailed: every contact of the CRM with it, ours or not (rule 9).

Sought once when an address comes to be suppressed; a contact that comes to bear it later is read as changed. A contact
that is not ours is only ever lowered. One of ours that bears the address beside its main one is marked, and is shut while the
address is suppressed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from connectors.store import crm_links, crm_rows, narrow_calls
from connectors.store.narrow_planning import store_time
from pipelines.operations.crm_reading import ReadableCrm
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.adoption import ADDRESSES, canonical_keys
from pipelines.transforms.crm_changes import Noted, row_id_of
from pipelines.transforms.crm_contacts import FLAG, Addresses, beside_edit
from schemas.tables import CONTACT

TABLE = CONTACT.logical_name
# What is read of one lot is noted in one transaction.
_ADDRESSES_AT_A_TIME = 50


def seek_bearers(session: Session, crm: ReadableCrm, *, among: Sequence[UUID] | None = None) -> None:
    """Know the contacts with each address (of some) that is about to be planned and is suppressed, and was not sought yet.

    Where one is suppressed no more, the contacts of ours that bear it beside their main one may be opened.
    """
    with session.transaction() as conn:
        unsought = crm_links.addresses_to_seek(conn, among=among)
        let_go = crm_links.addresses_let_go(conn, among=among)
        since = store_time(conn)
    for chunk in _chunks(unsought):
        rows = _rows_bearing(crm, chunk)
        with session.transaction() as conn:
            managed = _managed(conn, rows)
            passed = managed.keys() | crm_rows.under_way(conn, TABLE, list(rows), since=since)
            others = {row_id: row for row_id, row in rows.items() if row_id not in passed}
            crm_rows.note_rows(conn, list(_strangers(others, chunk)))
            _mark_ours(session, conn, rows, managed, among=among)
            crm_links.mark_sought(conn, [row.contact_point_id for row in chunk], at=session.now)
    for chunk in _chunks(let_go):
        rows = _rows_bearing(crm, chunk)
        with session.transaction() as conn:
            _mark_ours(session, conn, rows, _managed(conn, rows), among=among)
            crm_links.mark_sought(conn, [row.contact_point_id for row in chunk], at=None)


def _chunks(addresses: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(addresses), _ADDRESSES_AT_A_TIME):
        yield addresses[start : start + _ADDRESSES_AT_A_TIME]


def _rows_bearing(crm: ReadableCrm, chunk: Sequence[Any]) -> dict[UUID, dict[str, Any]]:
    """Contacts with an address among these, by id. The CRM's own comparison may find more."""
    written = sorted({text for row in chunk for text in (row.address, row.address_key)})
    found = (crm.find_rows(table_name(TABLE), column, written, [*ADDRESSES, FLAG]) for column in ADDRESSES)
    return {row_id_of(TABLE, row): row for rows in found for row in rows}


def _strangers(rows: Mapping[UUID, Mapping[str, Any]], chunk: Sequence[Any]) -> Iterator[Noted]:
    addresses = Addresses(canonical_keys(rows.values()), frozenset(row.address_key for row in chunk))
    for row_id, row in rows.items():
        keys = addresses.of(row)
        if not addresses.suppressed.isdisjoint(keys):
            yield Noted(TABLE, row_id, {FLAG: row.get(FLAG) is True}, {}, keys)


def _mark_ours(
    session: Session,
    conn: Connection,
    rows: Mapping[UUID, Mapping[str, Any]],
    managed: Mapping[UUID, RowMapping],
    *,
    among: Sequence[UUID] | None,
) -> None:
    """Mark the contacts of ours among these by what they bear now, and have those planned anew of which that is news."""
    ours = {row_id: row for row_id, row in rows.items() if row_id in managed}
    keys = canonical_keys(ours.values())
    addresses = Addresses(keys, crm_links.suppressed_keys(conn, sorted(set(keys.values()))))
    marks = {
        row_id: beside_edit(addresses.is_beside(row), managed[row_id]["edits"], session.now.isoformat())
        for row_id, row in ours.items()
    }
    news = [row_id for row_id, mark in marks.items() if mark]
    crm_rows.note_rows(conn, [Noted(TABLE, row_id, {}, marks[row_id]) for row_id in news])
    crm_rows.dirty_by_rows(conn, [(TABLE, row_id) for row_id in news])
    if among is not None and news:
        points = {managed[row_id]["contact_point_id"] for row_id in news} - {None, *among}
        narrow_calls.call(conn, sorted(points))


def _managed(conn: Connection, row_ids: Iterable[UUID]) -> dict[UUID, RowMapping]:
    known = crm_rows.known_rows(conn, TABLE, list(row_ids))
    return {row["row_id"]: row for row in known if row["is_managed"]}
