"""Delivery: the outbox's intents to the CRM, phase by phase, several chunks at once; each claimed, sent, acknowledged.

An intent whose answer was lost stays claimed until the row has been read back: what is there is acknowledged, what is
not is claimed anew, and so looked up in the ledger once more, before it is sent again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import NOT_EXECUTED, RowResult, TableName
from connectors.store import outbox
from connectors.store.outbox import Claimed, Settled
from pipelines.operations.sessions import Session
from pipelines.transforms.readback import as_read, read_columns
from schemas.errors import CrmUnavailable
from schemas.intents import IntentState, Method, Phase
from schemas.tables import TABLES

MAX_ROUNDS = 20


class Crm(Protocol):
    """What delivery needs of the CRM's client (connectors.dataverse.DataverseClient is it)."""

    def chunk_rows(self, table: TableName, *, in_bulk: bool = True) -> int: ...

    def upsert_many(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...

    def update_if_match(
        self, table: TableName, rows: Sequence[tuple[Mapping[str, object], str]]
    ) -> list[RowResult]: ...

    def update_existing(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]: ...

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...


@dataclass
class DeliveryReport:
    """Intents by what became of them, over the phases delivered."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, settled: Sequence[Settled], superseded: int) -> None:
        """Count one chunk."""
        self.counts.update(str(s.state) for s in settled if s.state is not IntentState.PENDING)
        self.counts[str(IntentState.SUPERSEDED)] += superseded


def table_name(logical_name: str) -> TableName:
    """A table of ours in the client's words."""
    table = TABLES[logical_name]
    return TableName(table.entity_set, table.logical_name, table.primary_key)


def recover(session: Session, crm: Crm, *, is_narrow: bool | None = None, among: Sequence[UUID] | None = None) -> int:
    """Settle what an earlier run left without an answer: acknowledged if the CRM has it, else superseded.

    Of runs (`is_narrow` false) or narrow synchronisations only, or of some addresses; whoever calls knows that they ended.
    """
    with session.transaction() as conn:
        claimed = outbox.claimed_intents(conn, is_narrow=is_narrow, among=among)
    for chunk in _by_table(claimed, session.workspace.policy.crm.chunk_rows):
        with session.transaction() as conn:
            known = outbox.acknowledged_columns(conn, chunk[0].table_name, [intent.row_id for intent in chunk])
        made = [intent for intent in chunk if intent.method is Method.UPSERT and intent.row_id not in known]
        settled = _read_back(crm, chunk, otherwise=IntentState.SUPERSEDED, made=frozenset(i.row_id for i in made))
        with session.transaction() as conn:
            outbox.settle(conn, settled)
    return len(claimed)


def deliver_phase(session: Session, crm: Crm, phase: Phase) -> DeliveryReport:
    """Send everything that is pending in one phase of this run, until all of it has an answer.

    Raises CrmUnavailable where answers keep being lost; what was not settled stays claimed for the next run.
    """
    report = DeliveryReport()
    for _ in range(MAX_ROUNDS):
        with session.transaction() as conn:
            groups = outbox.open_groups(conn, session.run_id, phase)
        progressed = sum(_drain(session, crm, phase, group, report) for group in groups)
        with session.transaction() as conn:
            lost = outbox.claimed_intents(conn, run_id=session.run_id)
        for chunk in _by_table(lost, session.workspace.policy.crm.chunk_rows):
            settled = _read_back(crm, chunk, otherwise=IntentState.PENDING)
            with session.transaction() as conn:
                outbox.settle(conn, settled)
            report.add(settled, 0)
        if not lost and not progressed:
            return report
    raise CrmUnavailable("The CRM keeps losing answers; run again when it is well. Nothing is lost or sent twice.")


def _drain(session: Session, crm: Crm, phase: Phase, group: tuple[Method, str], report: DeliveryReport) -> int:
    """Send one group with several threads until nothing of it can be claimed; returns how many were claimed."""
    writers = session.workspace.policy.crm.writers
    with ThreadPoolExecutor(writers, thread_name_prefix="crm-writer") as pool:
        futures = [pool.submit(_send_chunks, session, crm, phase, group, report) for _ in range(writers)]
    return sum(future.result() for future in futures)


def _send_chunks(session: Session, crm: Crm, phase: Phase, group: tuple[Method, str], report: DeliveryReport) -> int:
    sent = 0
    method, logical_name = group
    while True:
        limit = crm.chunk_rows(table_name(logical_name), in_bulk=method is Method.UPSERT)
        with session.transaction() as conn:
            claimed, superseded = outbox.claim(conn, session.run_id, phase, group, limit=limit, now=session.now)
        report.add((), superseded)
        if not claimed:
            if superseded:
                continue
            return sent
        settled = _send(session, crm, group, claimed)
        with session.transaction() as conn:
            outbox.settle(conn, settled)
        report.add(settled, 0)
        sent += len(claimed)


def _send(session: Session, crm: Crm, group: tuple[Method, str], claimed: Sequence[Claimed]) -> list[Settled]:
    """Send one claimed chunk by its method; every intent gets an answer, or none and stays claimed."""
    method, logical_name = group
    table = table_name(logical_name)
    if method is Method.PATCH:
        return _patch(session, crm, table, claimed)
    if method is Method.DELETE:
        results = crm.delete_many(table, [str(intent.row_id) for intent in claimed])
    elif method is Method.LOWER:
        results = crm.update_existing(table, [_row(table, intent) for intent in claimed])
    else:
        results = crm.upsert_many(table, [_row(table, intent) for intent in claimed])
    return _settled(claimed, results)


def _row(table: TableName, intent: Claimed) -> dict[str, object]:
    return {table.primary_key: str(intent.row_id), **intent.columns}


def _patch(session: Session, crm: Crm, table: TableName, claimed: Sequence[Claimed]) -> list[Settled]:
    """Correct rows only where the columns still are what the CRM acknowledged to us; else it is a conflict."""
    select = sorted({name for intent in claimed for name in read_columns(table.logical_name, intent.columns)})
    found = crm.fetch_rows(table, [str(intent.row_id) for intent in claimed], select)
    with session.transaction() as conn:
        known = outbox.acknowledged_columns(conn, table.logical_name, [intent.row_id for intent in claimed])
    standing, settled = [], []
    for intent in claimed:
        row = found.get(str(intent.row_id))
        if row is None or not _is_as_acknowledged(table.logical_name, intent, row, known.get(intent.row_id, {})):
            settled.append(Settled(intent.intent_id, IntentState.CONFLICT, code="edited_or_gone"))
        else:
            standing.append((intent, str(row["@odata.etag"])))
    results = crm.update_if_match(table, [(_row(table, intent), etag) for intent, etag in standing])
    return settled + _settled([intent for intent, _ in standing], results)


def _is_as_acknowledged(table: str, intent: Claimed, row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    before = {name: known.get(name) for name in intent.columns}
    return all(row.get(name) == value for name, value in as_read(table, before).items())


def _settled(claimed: Sequence[Claimed], results: Sequence[RowResult]) -> list[Settled]:
    by_row = {UUID(result.row_id): result for result in results}
    answered = [(intent, by_row[intent.row_id]) for intent in claimed]
    return [
        Settled(intent.intent_id, _STATES[_outcome(result)], result.status, result.code, result.request_id)
        for intent, result in answered
        if _outcome(result) in _STATES
    ]


def _outcome(result: RowResult) -> str:
    return NOT_EXECUTED if result.outcome == "unresolved" and result.code == NOT_EXECUTED else result.outcome


# An unresolved row has no state to go to: it stays claimed until it has been read back.
_STATES = {
    "acknowledged": IntentState.ACKNOWLEDGED,
    "refused": IntentState.REFUSED,
    "conflict": IntentState.CONFLICT,
    NOT_EXECUTED: IntentState.PENDING,
}


def _read_back(
    crm: Crm, chunk: Sequence[Claimed], *, otherwise: IntentState, made: frozenset[UUID] = frozenset()
) -> list[Settled]:
    """Look at the rows of claimed intents of one table: what the CRM has as intended is acknowledged.

    So are rows that only this intent can have `made`, whatever they hold by now: somebody changed them since, and the
    read-back is to see that.
    """
    logical_name = chunk[0].table_name
    select = sorted({name for intent in chunk for name in read_columns(logical_name, intent.columns)})
    found = crm.fetch_rows(table_name(logical_name), [str(intent.row_id) for intent in chunk], select)
    return [
        Settled(intent.intent_id, IntentState.ACKNOWLEDGED if _has_happened(intent, found, made) else otherwise)
        for intent in chunk
    ]


def _has_happened(intent: Claimed, found: Mapping[str, Mapping[str, Any]], made: frozenset[UUID]) -> bool:
    row = found.get(str(intent.row_id))
    if intent.method is Method.DELETE or row is None:
        return intent.method is Method.DELETE and row is None
    return intent.row_id in made or all(
        row.get(name) == value for name, value in as_read(intent.table_name, intent.columns).items()
    )


def _by_table(claimed: Sequence[Claimed], rows: int) -> list[list[Claimed]]:
    tables = sorted({intent.table_name for intent in claimed})
    of = {name: [intent for intent in claimed if intent.table_name == name] for name in tables}
    return [of[name][start : start + rows] for name in tables for start in range(0, len(of[name]), rows)]
