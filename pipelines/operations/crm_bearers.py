"""Who else bears an address that is not to be mailed: every contact of the CRM with it, ours or not (rule 9).

Sought once when an address comes to be suppressed; a contact that comes to bear it later is read as changed. A contact
that is not ours is only ever lowered.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from connectors.store import crm_links, crm_rows
from connectors.store.narrow_planning import store_time
from pipelines.operations.crm_reading import ReadableCrm
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.adoption import ADDRESSES, canonical_keys
from pipelines.transforms.crm_changes import Noted, row_id_of
from pipelines.transforms.crm_contacts import FLAG, Addresses
from schemas.tables import CONTACT

TABLE = CONTACT.logical_name
# What is read of one lot is noted in one transaction.
_ADDRESSES_AT_A_TIME = 50


def seek_bearers(session: Session, crm: ReadableCrm, *, among: Sequence[UUID] | None = None) -> None:
    """Know the contacts with each address (of some) that is about to be planned and is suppressed, and was not sought yet."""
    with session.transaction() as conn:
        unsought = crm_links.addresses_to_seek(conn, among=among)
        since = store_time(conn)
    for start in range(0, len(unsought), _ADDRESSES_AT_A_TIME):
        chunk = unsought[start : start + _ADDRESSES_AT_A_TIME]
        found = list(_bearers(crm, chunk))
        with session.transaction() as conn:
            row_ids = [row_id for row_id, _, _ in found]
            managed = _managed(conn, row_ids) | crm_rows.under_way(conn, TABLE, row_ids, since=since)
            others = [
                Noted(TABLE, row_id, {FLAG: flag}, {}, keys) for row_id, flag, keys in found if row_id not in managed
            ]
            crm_rows.note_rows(conn, others)
            crm_links.mark_sought(conn, [row.contact_point_id for row in chunk], at=session.now)


def _bearers(crm: ReadableCrm, chunk: Sequence[Any]) -> Iterator[tuple[UUID, bool, list[str]]]:
    """Contacts with an address among these: id, flag, canonical addresses. The CRM's own comparison may find more."""
    written = sorted({text for row in chunk for text in (row.address, row.address_key)})
    found = (crm.find_rows(table_name(TABLE), column, written, [*ADDRESSES, FLAG]) for column in ADDRESSES)
    rows = list({row_id_of(TABLE, row): row for rows in found for row in rows}.values())
    addresses = Addresses(canonical_keys(rows), frozenset(row.address_key for row in chunk))
    for row in rows:
        keys = addresses.of(row)
        if not addresses.suppressed.isdisjoint(keys):
            yield row_id_of(TABLE, row), row.get(FLAG) is True, keys


def _managed(conn: Any, row_ids: Sequence[UUID]) -> set[UUID]:
    return {row["row_id"] for row in crm_rows.known_rows(conn, TABLE, row_ids) if row["is_managed"]}
