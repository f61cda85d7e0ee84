"""The client of one Dataverse environment: what the pipeline may ask of the CRM, one method for each.

Thread-safe. A write method takes the rows of one chunk and answers for each of them; what is retried, and what is
left to the caller as unresolved, is decided in sender.py, bulk.py and row_batch.py.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import requests

from connectors.dataverse import odata
from connectors.dataverse.batch import build_batch
from connectors.dataverse.bulk import BulkLanding
from connectors.dataverse.contract import (
    ChangePage,
    Row,
    RowResult,
    TableDefinition,
    TableName,
    WhoAmI,
    canonical_id,
    row_ids,
    unique_ids,
)
from connectors.dataverse.lookup import Lookup
from connectors.dataverse.metadata import fetch_table_definition
from connectors.dataverse.pacing import Deadline, Pacing
from connectors.dataverse.reading import Reader, selected
from connectors.dataverse.row_batch import BatchPort, Operation, RowBatch
from connectors.dataverse.sender import Lane, Sender
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.throttle import FirstAlone, ThrottleGate
from connectors.dataverse.tokens import Tokens, TokenSource
from connectors.dataverse.wire import Lost, Wire

_TRACK_CHANGES = "odata.track-changes"


class DataverseClient:
    """Reads and writes tables as one application user.

    Every method may raise `CrmUnavailable` (transient) and `CrmMisconfigured` (stop the run). From a write method both
    mean that no row of the call was executed. `CrmRowRefused` from a write method is raised before anything is sent:
    a row comes twice, has no GUID, or holds what JSON cannot carry.
    """

    def __init__(
        self,
        settings: DataverseSettings,
        *,
        tokens: Tokens | None = None,
        session: requests.Session | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._pacing = Pacing(clock, sleep)
        self._wire = Wire(settings, session)
        lane = Lane(tokens or TokenSource(settings), ThrottleGate(settings.max_parallelism, self._pacing))
        self._sender = Sender(settings, self._wire, lane=lane, pacing=self._pacing)
        self._reader = Reader(self._sender, settings.origin)
        self._first_alone = FirstAlone()

    def close(self) -> None:
        """Closes pooled connections."""
        self._wire.close()

    def who_am_i(self) -> WhoAmI:
        """The application user behind our token."""
        answer, content = self._sender.read_json(odata.read("WhoAmI", {}, label="WhoAmI"), self._sender.deadline())
        return WhoAmI(str(content.get("UserId")), str(content.get("OrganizationId")), answer.dop_hint)

    def upsert_many(self, table: TableName, rows: Sequence[Row]) -> list[RowResult]:
        """Creates or overwrites rows by primary key, in bulk; no precondition, so for new rows and for lowering.

        The CRM takes all or nothing; a chunk it refuses is halved until each bad row is found, and the rest lands.
        Rows beyond `chunk_rows` go in further chunks. Columns that are left out stay, None clears.
        """
        targets = [odata.upsert_target(table, row) for row in rows]
        deadline = self._sender.deadline()
        landing = BulkLanding(lambda chunk: self._send_upsert(table, chunk, deadline=deadline), self._pacing)
        return landing.land(list(zip(row_ids(table, rows), targets, strict=True)), self._settings.chunk_rows)

    def update_if_match(self, table: TableName, rows: Sequence[tuple[Row, str]]) -> list[RowResult]:
        """Updates rows that still have the ETag given with them; another version or no row is a conflict."""
        ids = row_ids(table, [row for row, _ in rows])
        headers = self._settings.write_headers
        requests_ = [odata.update(table, row, if_match=etag, headers=headers) for row, etag in rows]
        return self._write_batch(f"$batch PATCH {table.entity_set}", list(zip(ids, requests_, strict=True)))

    def update_existing(self, table: TableName, rows: Sequence[Row]) -> list[RowResult]:
        """Updates rows whatever their version, and never creates one: a row that is gone is a conflict."""
        return self.update_if_match(table, [(row, "*") for row in rows])

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]:
        """Deletes rows; one that is gone already is acknowledged, one that others depend on is a conflict."""
        headers = self._settings.write_headers
        operations = [(row_id, odata.delete(table, row_id, headers=headers)) for row_id in unique_ids(ids)]
        return self._write_batch(f"$batch DELETE {table.entity_set}", operations, gone_is_done=True)

    def fetch_rows(self, table: TableName, ids: Sequence[str], select: Sequence[str]) -> dict[str, dict[str, object]]:
        """Rows by id (lower-case GUID), each with `@odata.etag`; ids that the CRM does not have are absent."""
        return self._reader.rows_by_id(table, list(dict.fromkeys(map(canonical_id, ids))), select=select)

    def iter_rows(
        self,
        table: TableName,
        select: Sequence[str],
        *,
        filter: str | None = None,
        page_size: int = odata.MAX_PAGE_ROWS,
    ) -> Iterator[dict[str, object]]:
        """All rows, a page of 1 to 5000 at a time; `filter` is an OData expression, not yet percent-encoded.

        There is no order, and a row changed while pages are read may be missed or come twice.
        """
        query = {"$select": selected(table, select)} | ({"$filter": filter} if filter else {})
        prefer = (_page_size(page_size),)
        request = odata.read(table.entity_set, query, prefer=prefer, label=f"GET {table.entity_set}")
        yield from self._reader.rows(request, prefer)

    def find_rows(
        self, table: TableName, column: str, values: Sequence[str], select: Sequence[str]
    ) -> Iterator[dict[str, object]]:
        """Rows whose text column equals one of the values, as the environment compares text; no value is in a URL."""
        lookup = Lookup(self._sender, self._reader, api_path=self._settings.api_path)
        return lookup.rows(table, column, list(dict.fromkeys(values)), select=select)

    def iter_changes(
        self, table: TableName, select: Sequence[str], delta_link: str | None = None
    ) -> Iterator[ChangePage]:
        """What changed since `delta_link`, or every row without one; the last page carries the next delta link.

        A row changed twice comes once, as it is now; deletions come last. `ChangeTokenExpired` when the link is too
        old. With a link, the columns are those it was first asked for with.
        """
        label, prefer = f"GET changes of {table.entity_set}", (_TRACK_CHANGES, _page_size(odata.MAX_PAGE_ROWS))
        if delta_link is None:
            request = odata.read(table.entity_set, {"$select": selected(table, select)}, prefer=prefer, label=label)
        else:
            request = self._reader.follow(delta_link, prefer, label=label)
        yield from self._reader.changes(table, request, prefer=prefer)

    def fetch_metadata(self, table: TableName) -> TableDefinition:
        """What the table admits in this environment."""
        return fetch_table_definition(self._reader, table)

    def _send_upsert(self, table: TableName, targets: Sequence[bytes], *, deadline: Deadline) -> odata.Answer | Lost:
        request = odata.upsert_multiple(table, targets, headers=self._settings.write_headers)
        with self._first_alone.turn(table.logical_name):
            return self._sender.send(request, deadline)

    def _write_batch(
        self, label: str, operations: Sequence[Operation], *, gone_is_done: bool = False
    ) -> list[RowResult]:
        deadline = self._sender.deadline()

        def send(parts: Sequence[odata.Request]) -> odata.Answer | Lost:
            boundary = f"batch_{uuid.uuid4()}"
            request = build_batch(parts, api_path=self._settings.api_path, boundary=boundary, label=label)
            return self._sender.send(request, deadline)

        port = BatchPort(send, self._sender.note_throttled, self._pacing)
        return RowBatch(port, gone_is_done=gone_is_done).write(operations, self._settings.chunk_rows)


def _page_size(rows: int) -> str:
    if not 1 <= rows <= odata.MAX_PAGE_ROWS:
        raise ValueError("A page has 1 to 5000 rows.")
    return f"odata.maxpagesize={rows}"
