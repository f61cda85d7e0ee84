"""Reading what changed in the CRM since the last time, table by table, and what it comes to; nothing is kept yet.

A table is read in full the first time, when other columns are wanted, and when the delta link is too old or cannot be
followed any more; deletions are then what we know of and is not there. Else its delta link is followed, byte for byte.
https://learn.microsoft.com/power-apps/developer/data-platform/use-change-tracking-synchronize-data-external-systems
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import ChangePage, ChangeTokenExpired, Membership, TableName
from connectors.store import crm_links, crm_rows
from connectors.store.narrow_planning import store_time
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.adoption import canonical_keys
from pipelines.transforms.crm_changes import GONE, KnownRow, Noted, Told, row_id_of, selected_columns
from pipelines.transforms.crm_consents import Purposes, Raised, purposes_of, read_consent, read_deleted_consent
from pipelines.transforms.crm_contacts import Addresses, read_contact
from pipelines.transforms.crm_registrations import read_registration
from schemas.policy import Policy
from schemas.tables import CONSENT, CONTACT, REGISTRATION

LOG = logging.getLogger(__name__)

READ_TABLES = (CONTACT.logical_name, CONSENT.logical_name, REGISTRATION.logical_name)
_ROWS_AT_A_TIME = 5000
# How often a row that a narrow synchronisation is writing meanwhile is looked at once more.
_LOOKS = 3


class ReadableCrm(Protocol):
    """What reading back needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: Sequence[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...

    def find_rows(
        self, table: TableName, column: str, values: Sequence[str], select: Sequence[str]
    ) -> Iterator[dict[str, Any]]: ...

    def iter_changes(
        self, table: TableName, select: Sequence[str], delta_link: str | None = None
    ) -> Iterator[ChangePage]: ...

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...

    def find_list_members(self, members: Sequence[Membership]) -> list[dict[str, object]]: ...


@dataclass
class Reading:
    """What was read of one table: what it comes to, opt-ins made there, the next delta link.

    A row made after `since` was not there when the table was last read; None: it never was. `began_at` is by the store's
    clock.
    """

    table: str
    since: datetime | None
    began_at: datetime
    is_full: bool
    told: Told = field(default_factory=Told)
    raised: list[Raised] = field(default_factory=list)
    link: str = ""


def read_table(session: Session, crm: ReadableCrm, table: str) -> Reading:
    """Read what changed in one table."""
    with session.transaction() as conn:
        cursor, began_at = crm_rows.cursor_of(conn, table), store_time(conn)
    since = _since(session, cursor)
    if cursor and cursor[1] == wanted_columns(table, session.workspace.policy):
        try:
            return _read(session, crm, Reading(table, since, began_at, False), cursor[0])
        except ChangeTokenExpired as error:
            LOG.warning("%s is read in full: %s", table, error)
    return _read(session, crm, Reading(table, since, began_at, True), None)


def read_rows_of(session: Session, crm: ReadableCrm, table: str, contact_point_ids: Sequence[UUID]) -> Reading:
    """Read the rows of one table that are known of some addresses, as they are now; no delta link comes of it."""
    with session.transaction() as conn:
        cursor, began_at = crm_rows.cursor_of(conn, table), store_time(conn)
        ids = crm_rows.ids_of(conn, table, contact_point_ids)
    reading = Reading(table, _since(session, cursor), began_at, False)
    purposes = purposes_of(session.workspace.policy)
    if ids:
        rows = list(
            crm.fetch_rows(
                table_name(table), [str(row_id) for row_id in ids], selected_columns(table, session.workspace.policy)
            ).values()
        )
        _read_rows(session, reading, rows, _known(session, table, ids), purposes)
        _read_deleted(session, reading, set(ids) - {row_id_of(table, row) for row in rows}, purposes)
    return reading


def _since(session: Session, cursor: tuple[str, str, datetime] | None) -> datetime | None:
    """When the last reading began, by whichever of the two clocks is behind: the CRM dates its rows by its own."""
    return cursor[2] - timedelta(seconds=session.workspace.policy.clock_skew_s) if cursor else None


def wanted_columns(table: str, policy: Policy) -> str:
    """The columns that a delta link must be good for, as they are asked for."""
    return ",".join(selected_columns(table, policy))


def _read(session: Session, crm: ReadableCrm, reading: Reading, link: str | None) -> Reading:
    table, purposes = reading.table, purposes_of(session.workspace.policy)
    unseen = _known_ids(session, table) if reading.is_full else set()
    passed = set[UUID]()
    for page in crm.iter_changes(table_name(table), selected_columns(table, session.workspace.policy), link):
        passed |= _read_settled(session, reading, page.rows, reading.began_at)
        unseen.difference_update(row_id_of(table, row) for row in page.rows)
        _read_deleted(session, reading, map(UUID, page.deleted_ids), purposes)
        reading.link = page.delta_link or reading.link
    _read_deleted(session, reading, unseen, purposes)
    if _read_passed(session, crm, reading, passed):
        reading.link = ""
    return reading


def _read_passed(session: Session, crm: ReadableCrm, reading: Reading, row_ids: set[UUID]) -> set[UUID]:
    """Read rows again that were being written; those that still are, which the next reading is to tell of again."""
    for _ in range(_LOOKS):
        if not row_ids:
            break
        since, ids = _store_time(session), [str(row_id) for row_id in sorted(row_ids)]
        rows = crm.fetch_rows(table_name(reading.table), ids, selected_columns(reading.table, session.workspace.policy))
        row_ids = _read_settled(session, reading, list(rows.values()), since)
    return row_ids


def _read_settled(session: Session, reading: Reading, rows: Sequence[dict[str, Any]], since: datetime) -> set[UUID]:
    """Read those rows that nothing of ours was on its way to since an instant; the ids of the others.

    A narrow synchronisation writes beside a run: its own value, read before its answer is known, would look as if
    somebody had put it there, and so would a value read before it wrote.
    """
    table, ids = reading.table, [row_id_of(reading.table, row) for row in rows]
    known = _known(session, table, ids)
    with session.transaction() as conn:
        passing = crm_rows.under_way(conn, table, ids, since=since)
    settled = [row for row in rows if row_id_of(table, row) not in passing]
    _read_rows(session, reading, settled, known, purposes_of(session.workspace.policy))
    return passing


def _store_time(session: Session) -> datetime:
    with session.transaction() as conn:
        return store_time(conn)


def _known_ids(session: Session, table: str) -> set[UUID]:
    with session.transaction() as conn:
        return crm_rows.known_ids(conn, table)


def _known(session: Session, table: str, ids: Sequence[UUID]) -> dict[UUID, KnownRow]:
    with session.transaction() as conn:
        rows = crm_rows.known_rows(conn, table, ids)
    return {
        row["row_id"]: KnownRow(row["columns"], row["edits"], row["is_managed"], row["contact_point_id"])
        for row in rows
    }


def _read_rows(
    session: Session,
    reading: Reading,
    rows: Sequence[dict[str, Any]],
    known: dict[UUID, KnownRow],
    purposes: Purposes,
) -> None:
    table, told = reading.table, reading.told
    addresses = _addresses(session, rows) if table == CONTACT.logical_name else Addresses({})
    for row in rows:
        before = known.get(row_id_of(table, row))
        if table == CONTACT.logical_name:
            read_contact(row, before, told, addresses)
        elif table == CONSENT.logical_name:
            raised = read_consent(row, before, told, purposes, since=reading.since)
            reading.raised += [raised] if raised else []
        else:
            read_registration(row, before, told)


def _addresses(session: Session, rows: Sequence[dict[str, Any]]) -> Addresses:
    keys = canonical_keys(rows)
    with session.transaction() as conn:
        return Addresses(keys, crm_links.suppressed_keys(conn, sorted(set(keys.values()))))


def _read_deleted(session: Session, reading: Reading, ids: Iterable[UUID], purposes: Purposes) -> None:
    """Rows that are not there any more; those that we deleted ourselves are not known, and so are none."""
    deleted = sorted(ids)
    for start in range(0, len(deleted), _ROWS_AT_A_TIME):
        known = _known(session, reading.table, deleted[start : start + _ROWS_AT_A_TIME])
        for row_id, before in known.items():
            _read_gone(reading, row_id, before, purposes, now=session.now)


def _read_gone(reading: Reading, row_id: UUID, before: KnownRow, purposes: Purposes, *, now: datetime) -> None:
    table, told = reading.table, reading.told
    if table == CONSENT.logical_name:
        read_deleted_consent(row_id, before, told, purposes, now=now)
    elif table == CONTACT.logical_name:
        (told.gone if before.is_managed else told.forgotten).append((table, row_id))
    elif GONE not in before.edits:
        told.noted.append(Noted(table, row_id, {}, {GONE: now.isoformat()}))
