"""Writing the rows of one call by one application user: in bulk, or one by one inside `$batch`, within one deadline.

What is learnt on the way, a chunk's size and which tables have had their first bulk call, is shared by all calls.
"""

import hashlib
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from connectors.dataverse import odata
from connectors.dataverse.batch import build_batch
from connectors.dataverse.blame import Blame
from connectors.dataverse.bulk import BulkLanding, BulkPort, Target
from connectors.dataverse.chunks import ChunkSizes
from connectors.dataverse.contract import Row, RowResult, TableName, row_ids
from connectors.dataverse.row_batch import BatchPort, Operation, RowBatch
from connectors.dataverse.sender import Sender
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.throttle import FirstAlone
from connectors.dataverse.wire import Lost

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What one call leaves to the next ones."""

    sizes: ChunkSizes
    first_alone: FirstAlone
    blame: Blame


class Writer:
    """Writes the rows of one call; used once."""

    def __init__(self, settings: DataverseSettings, sender: Sender, learnt: Learnt) -> None:
        self._settings = settings
        self._sender = sender
        self._learnt = learnt
        self._deadline = sender.deadline()

    def upsert(self, table: TableName, rows: Sequence[Row]) -> list[RowResult]:
        """Rows by UpsertMultiple; those of a chunk that is refused singly in the end."""
        ids = row_ids(table, rows)
        targets = [odata.upsert_target(table, row) for row in rows]
        known = dict(zip(ids, rows, strict=True))
        return self._land(
            table,
            list(zip(ids, targets, strict=True)),
            lambda chunk: odata.upsert_multiple(table, chunk, headers=self.headers),
            lambda row_id: odata.upsert(table, known[row_id], headers=self.headers),
        )

    def add_to_list(self, table: TableName, list_id: str, members: Mapping[str, bytes]) -> list[RowResult]:
        """Members by the name that the caller has for each by AddListMembersList, as rows by UpsertMultiple."""
        return self._land(
            table,
            list(members.items()),
            lambda chunk: odata.add_list_members(list_id, chunk, headers=self.headers),
            lambda name: odata.add_list_members(list_id, [members[name]], headers=self.headers),
        )

    @property
    def headers(self) -> odata.Headers:
        """What every write carries."""
        return self._settings.write_headers

    def _land(
        self,
        table: TableName,
        targets: list[Target],
        whole: Callable[[Sequence[bytes]], odata.Request],
        single: Callable[[str], odata.Request],
    ) -> list[RowResult]:
        def send(chunk: Sequence[bytes]) -> odata.Answer | Lost:
            with self._learnt.first_alone.turn(table.logical_name):
                return self._sender.send(whole(chunk), self._deadline)

        def send_singly(chunk: Sequence[str]) -> list[RowResult]:
            return self._batch(table, [(row_id, single(row_id)) for row_id in chunk])

        size = self._learnt.sizes.of(table.logical_name, in_bulk=True)
        port = BulkPort(send, send_singly, size, self._sender.pacing)
        return self._noted(table, BulkLanding(port).land(targets))

    def write(
        self, table: TableName, operations: Sequence[Operation], *, gone_is_done: bool = False
    ) -> list[RowResult]:
        """Operations inside `$batch`, each with its own result."""
        return self._noted(table, self._batch(table, operations, gone_is_done=gone_is_done))

    def _batch(
        self, table: TableName, operations: Sequence[Operation], *, gone_is_done: bool = False
    ) -> list[RowResult]:
        def send(parts: Sequence[odata.Request]) -> odata.Answer | Lost:
            label, boundary = f"$batch {parts[0].label}", f"batch_{uuid.uuid4()}"
            request = build_batch(parts, api_path=self._settings.api_path, boundary=boundary, label=label)
            return self._sender.send(request, self._deadline)

        size = self._learnt.sizes.of(table.logical_name, in_bulk=False)
        is_rows_own = partial(self._learnt.blame.is_rows_own, table.logical_name)
        port = BatchPort(send, self._sender.note_throttled, is_rows_own, size, self._sender.pacing)
        return RowBatch(port, gone_is_done=gone_is_done).write(operations)

    def _noted(self, table: TableName, results: list[RowResult]) -> list[RowResult]:
        if any(result.outcome == "acknowledged" for result in results):
            self._learnt.blame.took(table.logical_name)
        _log_failed(table, results)
        return results


def row_hash(row_id: str) -> str:
    """How a row is called in logs: the first 12 digits of the SHA-256 of its GUID in lower case."""
    return hashlib.sha256(row_id.encode()).hexdigest()[:12]


def _log_failed(table: TableName, results: list[RowResult]) -> None:
    hashes: dict[tuple[object, ...], list[str]] = {}
    for result in results:
        if result.outcome != "acknowledged":
            fate = (result.outcome, result.status, result.code, result.request_id)
            hashes.setdefault(fate, []).append(row_hash(result.row_id))
    for told, rows in hashes.items():
        _log.warning("%s %s, status %s, code %s, request %s: rows %s", table.entity_set, *told, " ".join(rows))
