"""The client of one Dataverse environment: what the pipeline may ask of the CRM, one method for each.

Thread-safe. A write method takes the rows of one chunk and answers for each of them; what is retried, and what is
left to the caller as unresolved, is decided in sender.py, bulk.py and row_batch.py.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import requests

from connectors.dataverse import membership, odata
from connectors.dataverse.batched_reads import BatchedReads
from connectors.dataverse.blame import Blame
from connectors.dataverse.chunks import ChunkSizes
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
from connectors.dataverse.lanes import LanePool
from connectors.dataverse.lookup import iter_matching
from connectors.dataverse.membership import Membership
from connectors.dataverse.metadata import fetch_table_definition
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.reading import Reader, selected
from connectors.dataverse.sender import Lane, Sender
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.throttle import FirstAlone, ThrottleGate
from connectors.dataverse.tokens import Tokens, TokenSource
from connectors.dataverse.vouching import vouched
from connectors.dataverse.wire import Wire
from connectors.dataverse.writing import Learnt, Writer

_TRACK_CHANGES = "odata.track-changes"


class DataverseClient:
    """Reads and writes tables as one application user, or as several that share the work.

    Every method may raise `CrmUnavailable` (transient) and `CrmMisconfigured` (stop the run). From a write method both
    mean that no row of the call was executed. `CrmRowRefused` from a write method is raised before anything is sent:
    a row comes twice, has no GUID, or holds what JSON cannot carry.

    Once `cancelled` is set no request is begun any more: `CrmCancelled`, which is a `CrmUnavailable`. `tokens` stands in
    for those of the first application user.
    """

    def __init__(
        self,
        settings: DataverseSettings,
        *,
        tokens: Tokens | None = None,
        session: requests.Session | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._settings = settings
        stop = cancelled or threading.Event()
        # Waiting on the event, so that it ends a long Retry-After too.
        self._pacing = Pacing(clock, sleep or stop.wait, cancelled=stop)
        self._wire = Wire(settings, session)
        sources = [TokenSource(settings.for_user(user)) for user in settings.users]
        self._lanes = LanePool([self._sender(source) for source in [tokens or sources[0], *sources[1:]]])
        self._definitions: dict[TableName, tuple[float, TableDefinition]] = {}
        self._learnt = Learnt(ChunkSizes(settings.chunk_rows, settings.chunk_bytes), FirstAlone(), Blame())

    @property
    def gates(self) -> list[ThrottleGate]:
        """The gate of each application user, in the order of the settings: what limits us just now."""
        return [sender.gate for sender in self._lanes.senders]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within the block no request is begun, and all waiting ends: what is not under way fails as `CrmCancelled`."""
        stop = self._pacing.cancelled
        was_set = stop.is_set()
        stop.set()
        try:
            yield
        finally:
            if not was_set:
                stop.clear()

    def pause(self, attempt: int) -> None:
        """Waits before something is tried again: half a second at first, then twice as long each time, up to 30 s."""
        self._pacing.wait(self._pacing.backoff_s(attempt))

    def close(self) -> None:
        """Closes pooled connections."""
        self._wire.close()

    @contextmanager
    def guarded(self, may_send: Callable[[], None]) -> Iterator[None]:
        """While the block lasts `may_send` is asked before each request, in the thread that sends; what it raises goes up.

        Blocks may overlap, of several threads too: then each of theirs is asked.
        """
        self._wire.guards.append(may_send)
        try:
            yield
        finally:
            self._wire.guards.remove(may_send)

    def vouched(self, still_stands: Callable[[], bool]) -> AbstractContextManager[None]:
        """What this thread sends within the block was justified when it began; after a wait `still_stands` is asked again.

        `ClaimStale`, a `CrmUnavailable`, where it says no: nothing was sent, or of a call in parts no further one.
        """
        return vouched(still_stands, self._pacing.clock)

    def who_am_i(self) -> WhoAmI:
        """The first application user."""
        return _identity(self._lanes.senders[0])

    def who_are_we(self) -> list[WhoAmI]:
        """All application users, in the order of the settings."""
        return [_identity(sender) for sender in self._lanes.senders]

    def chunk_rows(self, table: TableName, *, in_bulk: bool = True) -> int:
        """How many rows to give to `upsert_many` now, or with `in_bulk` False to one of the other write methods."""
        return self._learnt.sizes.of(table.logical_name, in_bulk=in_bulk).rows

    def upsert_many(self, table: TableName, rows: Sequence[Row]) -> list[RowResult]:
        """Creates or overwrites rows by primary key, in bulk; no precondition, so for new rows and for lowering.

        The CRM takes all or nothing; a chunk it refuses is divided until each bad row is found, and the rest lands.
        Rows beyond `chunk_rows` go in further chunks. Columns that are left out stay, None clears.
        """
        with self._lanes.lane() as sender:
            return Writer(self._settings, sender, self._learnt).upsert(table, rows)

    def update_if_match(self, table: TableName, rows: Sequence[tuple[Row, str]]) -> list[RowResult]:
        """Updates rows that still have the ETag given with them; another version or no row is a conflict."""
        ids, headers = row_ids(table, [row for row, _ in rows]), self._settings.write_headers
        updates = [odata.update(table, row, if_match=etag, headers=headers) for row, etag in rows]
        with self._lanes.lane() as sender:
            return Writer(self._settings, sender, self._learnt).write(table, list(zip(ids, updates, strict=True)))

    def update_existing(self, table: TableName, rows: Sequence[Row]) -> list[RowResult]:
        """Updates rows whatever their version, and never creates one: a row that is gone is a conflict."""
        return self.update_if_match(table, [(row, "*") for row in rows])

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]:
        """Deletes rows; one that is gone already is acknowledged, one that others depend on is a conflict."""
        headers = self._settings.write_headers
        deletions = [(row_id, odata.delete(table, row_id, headers=headers)) for row_id in unique_ids(ids)]
        with self._lanes.lane() as sender:
            return Writer(self._settings, sender, self._learnt).write(table, deletions, gone_is_done=True)

    def add_list_members(self, members: Sequence[Membership]) -> list[RowResult]:
        """Puts contacts on static marketing lists, which is harmless where they are on them already."""
        with self._lanes.lane() as sender:
            return membership.add(Writer(self._settings, sender, self._learnt), members)

    def remove_list_members(self, members: Sequence[Membership]) -> list[RowResult]:
        """Takes contacts off static marketing lists; one that is not on its list is acknowledged."""
        with self._lanes.lane() as sender:
            reader = Reader(sender, self._settings.origin)
            return membership.remove(reader, Writer(self._settings, sender, self._learnt), members)

    def find_list_members(self, members: Sequence[Membership]) -> list[dict[str, object]]:
        """Those memberships that are there: listmemberid, `_listid_value`, `_entityid_value`; in no order."""
        with self._reader() as reader:
            return membership.find(reader, members)

    def delete_change_history(self, table: TableName, ids: Sequence[str]) -> int:
        """Deletes what the audit keeps of rows, which may be gone already; returns how many entries.

        https://learn.microsoft.com/power-apps/developer/data-platform/auditing/delete-audit-data
        """
        with self._lanes.lane() as sender:
            return sum(_forgotten(sender, table, row_id) for row_id in unique_ids(ids))

    def fetch_rows(self, table: TableName, ids: Sequence[str], select: Sequence[str]) -> dict[str, dict[str, object]]:
        """Rows by id (lower-case GUID), each with `@odata.etag`; ids that the CRM does not have are absent."""
        with self._reader() as reader:
            return reader.rows_by_id(table, list(dict.fromkeys(map(canonical_id, ids))), select=select)

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
        with self._reader() as reader:
            yield from reader.rows(request, prefer)

    def find_rows(
        self, table: TableName, column: str, values: Sequence[str], select: Sequence[str]
    ) -> Iterator[dict[str, object]]:
        """Rows whose text column equals one of the values, as the environment compares text; no value is in a URL."""
        with self._lanes.lane() as sender:
            batched = BatchedReads(sender, self._settings)
            yield from iter_matching(batched, table, column, list(dict.fromkeys(values)), select=select)

    def iter_changes(
        self, table: TableName, select: Sequence[str], delta_link: str | None = None
    ) -> Iterator[ChangePage]:
        """What changed since `delta_link`, or every row without one; the last page carries the next delta link.

        A row changed twice comes once, as it is now; deletions come last. `ChangeTokenExpired` when the link is too old, or
        cannot be followed. With a link, the columns are those it was first asked for with.
        """
        label, prefer = f"GET changes of {table.entity_set}", (_TRACK_CHANGES, _page_size(odata.MAX_PAGE_ROWS))
        with self._reader() as reader:
            if delta_link is None:
                query = {"$select": selected(table, select)}
                request = odata.read(table.entity_set, query, prefer=prefer, label=label)
                yield from reader.changes(table, request, prefer=prefer)
            else:
                yield from reader.changes_since(table, delta_link, prefer=prefer, label=label)

    def fetch_metadata(self, table: TableName, *, no_older_than_s: float = 0.0) -> TableDefinition:
        """What the table admits in this environment; as it was some time ago, where that is good enough."""
        known, clock = self._definitions.get(table), self._pacing.clock
        if known is not None and clock() - known[0] < no_older_than_s:
            return known[1]
        with self._lanes.lane() as sender:
            definition = fetch_table_definition(BatchedReads(sender, self._settings), table)
        self._definitions[table] = clock(), definition
        return definition

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        with self._lanes.lane() as sender:
            yield Reader(sender, self._settings.origin)

    def _sender(self, tokens: Tokens) -> Sender:
        lane = Lane(tokens, ThrottleGate(self._settings.max_parallelism, self._pacing))
        return Sender(self._settings, self._wire, lane=lane, pacing=self._pacing)


def _identity(sender: Sender) -> WhoAmI:
    answer, content = sender.read_json(odata.read("WhoAmI", {}, label="WhoAmI"), sender.deadline())
    return WhoAmI(str(content.get("UserId")), str(content.get("OrganizationId")), answer.dop_hint)


def _forgotten(sender: Sender, table: TableName, row_id: str) -> int:
    request = odata.delete_change_history(table, row_id)
    _, content = sender.read_json(request, sender.deadline())
    return int(str(content.get("DeletedEntriesCount") or 0))


def _page_size(rows: int) -> str:
    if not 1 <= rows <= odata.MAX_PAGE_ROWS:
        raise ValueError("A page has 1 to 5000 rows.")
    return f"odata.maxpagesize={rows}"
