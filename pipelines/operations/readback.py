"""Read-back: what people changed in the CRM is known before anything is planned (I13).

By change tracking on contacts, consent rows and registrations. What withdraws becomes events of the ledger; opt-ins by
the subject do where their wording is registered; merges are followed, deletions remembered, names set right respected.
A table's delta link moves in the transaction that keeps what was read with it.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import Connection

from connectors.store import crm_links, crm_rows
from connectors.store.bulk import drop_staged
from connectors.store.merge import merge_batch
from pipelines.operations import crm_merges
from pipelines.operations.crm_bearers import seek_bearers
from pipelines.operations.crm_merging import stage_decisions
from pipelines.operations.crm_profiles import fetch_profiles
from pipelines.operations.crm_reading import (
    READ_TABLES,
    ReadableCrm,
    Reading,
    read_rows_of,
    read_table,
    wanted_columns,
)
from pipelines.operations.list_reading import read_left_lists
from pipelines.operations.sessions import Session
from pipelines.transforms.crm_changes import CrmDecision, Told, each_once
from pipelines.transforms.crm_consents import Raised, decide_raised
from pipelines.transforms.identity import resolve_subjects
from schemas.tables import CONTACT


def read_back(session: Session, crm: ReadableCrm) -> int:
    """Bring what changed in the CRM since the last read-back into the store; returns how many decisions it made."""
    suppressed = _suppressed_before(session)
    readings = [read_table(session, crm, table) for table in READ_TABLES]
    decided = _keep_readings(session, crm, readings, suppressed) + crm_merges.carry_late(session)
    seek_bearers(session, crm)
    return decided


def read_back_addresses(session: Session, crm: ReadableCrm, contact_point_ids: Sequence[UUID]) -> int:
    """The same for the rows that are known of some addresses, as they are now; no delta link moves."""
    readings = [read_rows_of(session, crm, table, contact_point_ids) for table in READ_TABLES]
    decided = _keep_readings(session, crm, readings, [], among=contact_point_ids)
    decided += crm_merges.carry_late(session, among=contact_point_ids)
    seek_bearers(session, crm, among=contact_point_ids)
    return decided


def _keep_readings(
    session: Session,
    crm: ReadableCrm,
    readings: Sequence[Reading],
    suppressed: Sequence[UUID],
    *,
    among: Sequence[UUID] | None = None,
) -> int:
    """Bring readings into the store in one transaction; returns how many decisions they made."""
    told = _together(readings)
    if session.workspace.policy.lists():
        read_left_lists(session, crm, told, among=among)
    _decide_raised(session, crm, readings, told)
    merges = crm_merges.resolve(session, crm, told)
    decisions = [*told.decisions, *merges.decisions, *_moved(session, told.moves)]
    request = stage_decisions(session, decisions)
    with session.transaction() as conn:
        crm_links.mark_sought(conn, suppressed, at=session.now)
        if request is not None:
            merge_batch(conn, request, resolve=resolve_subjects)
            if not session.is_rehearsal:
                drop_staged(conn, session.staged)
        crm_merges.follow(conn, merges)
        _keep(conn, session, told)
        for reading in (one for one in readings if one.link):
            selected = wanted_columns(reading.table, session.workspace.policy)
            crm_rows.move_cursor(conn, reading.table, reading.link, selected=selected, at=reading.began_at)
    if not session.is_rehearsal:
        session.staged.clear()
    return len(decisions)


def _suppressed_before(session: Session) -> list[UUID]:
    """The addresses whose contacts a first reading finds as it goes: all that are suppressed when it begins."""
    with session.transaction() as conn:
        is_first = crm_rows.cursor_of(conn, CONTACT.logical_name) is None
        return crm_links.suppressed_unsought(conn) if is_first else []


def _together(readings: Sequence[Reading]) -> Told:
    told = Told()
    for reading in readings:
        for name in Told.__dataclass_fields__:
            getattr(told, name).extend(getattr(reading.told, name))
    return told


def _decide_raised(session: Session, crm: ReadableCrm, readings: Sequence[Reading], told: Told) -> None:
    raised: list[Raised] = [one for reading in readings for one in reading.raised]
    if raised:
        profiles = fetch_profiles(crm, {one.purpose_id for one in raised})
        decide_raised(raised, profiles, session.workspace.policy.crm.registered_profiles, told)


def _moved(session: Session, moves: Iterable[tuple[UUID, str]]) -> list[CrmDecision]:
    """A change of address carries withdrawals, not grants."""
    with session.transaction() as conn:
        return [decision for point, address in moves for decision in crm_merges.carried(conn, point, address)]


def _keep(conn: Connection, session: Session, told: Told) -> None:
    crm_rows.note_rows(conn, each_once(told.noted))
    crm_rows.dirty_by_rows(conn, [(n.table, n.row_id) for n in told.noted] + told.forgotten)
    crm_rows.forget_rows(conn, told.forgotten)
    for table, row_id in told.gone:
        crm_links.mark_gone(conn, row_id, at=session.now)
        crm_rows.forget_rows(conn, [(table, row_id)])
    for found in told.findings:
        crm_rows.add_finding(conn, found.kind, found.table, found.row_id, detail=found.detail, at=session.now)
