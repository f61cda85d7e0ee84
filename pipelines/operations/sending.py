"""Sending one claimed chunk of the outbox to the CRM by its method, and reading back what has no answer.

Nothing here knows of threads or of the store (dispatching.py does): an intent goes in as claimed, and what became of it
comes out.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import NOT_EXECUTED, Membership, RowResult, TableName
from connectors.store.outbox import Claimed, Settled
from pipelines.transforms.readback import as_read, read_columns, read_membership
from schemas.errors import ClaimStale
from schemas.intents import IntentState, Method, Phase
from schemas.tables import ALL_TABLES, LIST_MEMBER


class Crm(Protocol):
    """What delivery needs of the CRM's client (connectors.dataverse.DataverseClient is it)."""

    def chunk_rows(self, table: TableName, *, in_bulk: bool = True) -> int: ...

    def stopped(self) -> AbstractContextManager[None]: ...

    def pause(self, attempt: int) -> None: ...

    def vouched(self, still_stands: Callable[[], bool]) -> AbstractContextManager[None]: ...

    def upsert_many(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...

    def update_if_match(
        self, table: TableName, rows: Sequence[tuple[Mapping[str, object], str]]
    ) -> list[RowResult]: ...

    def update_existing(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]: ...

    def add_list_members(self, members: Sequence[Membership]) -> list[RowResult]: ...

    def remove_list_members(self, members: Sequence[Membership]) -> list[RowResult]: ...

    def find_list_members(self, members: Sequence[Membership]) -> list[dict[str, object]]: ...

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...


def table_name(logical_name: str) -> TableName:
    """A table of ours in the client's words."""
    table = ALL_TABLES[logical_name]
    return TableName(table.entity_set, table.logical_name, table.primary_key)


def send_chunk(
    crm: Crm,
    claimed: Sequence[Claimed],
    still_stands: Callable[[], bool],
    note_sent: Callable[[Mapping[int, str]], None],
) -> list[Settled]:
    """Send claimed intents of one phase, method and table; one without an answer that decides is `claimed` still.

    Where they wait before they are sent, at the CRM's limits for instance, `still_stands` is asked first. Where one of
    them stands no more all are put back, to be claimed anew; a lowering always stands. `note_sent` is told, just before they
    are sent, of the versions of rows that are only corrected as they were found, by intent.
    """
    if claimed[0].phase is Phase.LOWERING:
        return _send(crm, claimed, note_sent)
    try:
        with crm.vouched(still_stands):
            return _send(crm, claimed, note_sent)
    except ClaimStale:
        return [Settled(intent.intent_id, IntentState.PENDING) for intent in claimed]


def _send(crm: Crm, claimed: Sequence[Claimed], note_sent: Callable[[Mapping[int, str]], None]) -> list[Settled]:
    method, table = claimed[0].method, table_name(claimed[0].table_name)
    if method is Method.PATCH:
        return _patch(crm, table, claimed, note_sent)
    if table.logical_name == LIST_MEMBER.logical_name:
        change = crm.remove_list_members if method is Method.DELETE else crm.add_list_members
        results = change([_membership(intent) for intent in claimed])
    elif method is Method.DELETE:
        results = crm.delete_many(table, [str(intent.row_id) for intent in claimed])
    elif method is Method.LOWER:
        results = crm.update_existing(table, [_row(table, intent) for intent in claimed])
    else:
        results = crm.upsert_many(table, [_row(table, intent) for intent in claimed])
    return _settled(claimed, results)


def _membership(intent: Claimed) -> Membership:
    return Membership(str(intent.row_id), *read_membership(intent.columns))


def _row(table: TableName, intent: Claimed) -> dict[str, object]:
    return {table.primary_key: str(intent.row_id), **intent.columns}


def _patch(
    crm: Crm, table: TableName, claimed: Sequence[Claimed], note_sent: Callable[[Mapping[int, str]], None]
) -> list[Settled]:
    """Correct rows only where the columns still are what the CRM acknowledged to us; else it is a conflict."""
    select = sorted({name for intent in claimed for name in read_columns(table.logical_name, intent.columns)})
    found = crm.fetch_rows(table, [str(intent.row_id) for intent in claimed], select)
    standing, settled = [], []
    for intent in claimed:
        row = found.get(str(intent.row_id))
        if row is None or not _is_as_acknowledged(intent, row):
            settled.append(Settled(intent.intent_id, IntentState.CONFLICT, code="edited_or_gone"))
        else:
            standing.append((intent, str(row["@odata.etag"])))
    if standing:
        note_sent({intent.intent_id: etag for intent, etag in standing})
    results = crm.update_if_match(table, [(_row(table, intent), etag) for intent, etag in standing])
    return settled + _settled([intent for intent, _ in standing], results)


def _is_as_acknowledged(intent: Claimed, row: Mapping[str, Any]) -> bool:
    known = intent.known or {}
    before = {name: known.get(name) for name in intent.columns}
    return all(row.get(name) == value for name, value in as_read(intent.table_name, before).items())


def _settled(claimed: Sequence[Claimed], results: Sequence[RowResult]) -> list[Settled]:
    by_row = {result.row_id: result for result in results}
    answered = [(intent, by_row[str(intent.row_id)]) for intent in claimed]
    return [
        Settled(intent.intent_id, _STATES[_outcome(result)], result.status, result.code, result.request_id)
        for intent, result in answered
    ]


def _outcome(result: RowResult) -> str:
    return NOT_EXECUTED if result.outcome == "unresolved" and result.code == NOT_EXECUTED else result.outcome


# An unresolved row stays claimed until it has been read back.
_STATES = {
    "acknowledged": IntentState.ACKNOWLEDGED,
    "refused": IntentState.REFUSED,
    "conflict": IntentState.CONFLICT,
    "unresolved": IntentState.CLAIMED,
    NOT_EXECUTED: IntentState.PENDING,
}


def read_back_chunk(
    crm: Crm, chunk: Sequence[Claimed], *, otherwise: IntentState, made: frozenset[UUID] = frozenset()
) -> list[Settled]:
    """Look at the rows of claimed intents of one table: what the CRM has as intended is acknowledged.

    So are rows that only this intent can have `made`, and corrected ones that have another version than when they were sent,
    whatever they hold by now: somebody changed them since, and the read-back is to see that as a change. (Where somebody was
    quicker than the request, what they found there is taken for their doing: a flag that was shut stays so.)
    """
    logical_name = chunk[0].table_name
    found = _found_members(crm, chunk) if logical_name == LIST_MEMBER.logical_name else _found_rows(crm, chunk)
    return [
        Settled(intent.intent_id, IntentState.ACKNOWLEDGED if _has_happened(intent, found, made) else otherwise)
        for intent in chunk
    ]


def _found_rows(crm: Crm, chunk: Sequence[Claimed]) -> Mapping[str, Mapping[str, Any]]:
    logical_name = chunk[0].table_name
    select = sorted({name for intent in chunk for name in read_columns(logical_name, intent.columns)})
    return crm.fetch_rows(table_name(logical_name), [str(intent.row_id) for intent in chunk], select)


def _found_members(crm: Crm, chunk: Sequence[Claimed]) -> Mapping[str, Mapping[str, Any]]:
    names = {read_membership(intent.columns): str(intent.row_id) for intent in chunk}
    rows = crm.find_list_members([_membership(intent) for intent in chunk])
    return {names[str(row["_listid_value"]), str(row["_entityid_value"])]: row for row in rows}


def _has_happened(intent: Claimed, found: Mapping[str, Mapping[str, Any]], made: frozenset[UUID]) -> bool:
    row = found.get(str(intent.row_id))
    if intent.method is Method.DELETE or row is None:
        return intent.method is Method.DELETE and row is None
    is_changed = intent.sent_etag is not None and str(row["@odata.etag"]) != intent.sent_etag
    return is_changed or intent.row_id in made or _is_as_intended(intent, row)


def _is_as_intended(intent: Claimed, row: Mapping[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in as_read(intent.table_name, intent.columns).items())


def chunks_by_table(claimed: Sequence[Claimed], rows: int) -> list[list[Claimed]]:
    """Claimed intents of several tables in chunks of one table each, of at most so many rows."""
    tables = sorted({intent.table_name for intent in claimed})
    of = {name: [intent for intent in claimed if intent.table_name == name] for name in tables}
    return [of[name][start : start + rows] for name in tables for start in range(0, len(of[name]), rows)]
