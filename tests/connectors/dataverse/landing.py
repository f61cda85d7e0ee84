"""Landing rows whatever happens, as delivery does it, and the oracle for what the CRM must hold afterwards."""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from connectors.dataverse import NOT_EXECUTED, DataverseClient, RowResult, TableName
from sandbox.dataverse.server import RunningEmulator
from schemas.errors import CrmUnavailable

CONTACTS = TableName("contacts", "contact", "contactid")
MAX_ROUNDS = 40
WRITES = r"UpsertMultiple|\$batch"

Row = dict[str, object]
_KEY = re.compile(r"contacts\(([0-9a-f-]{36})\)")


def make_rows(count: int) -> list[Row]:
    return [
        {
            "contactid": str(uuid.uuid5(uuid.NAMESPACE_OID, str(n))),
            "firstname": f"Name{n}",
            "donotbulkemail": n % 2 == 0,
        }
        for n in range(count)
    ]


@dataclass
class Landing:
    """Sends rows in chunks until each has an answer: an unresolved row is read back before it may go again."""

    client: DataverseClient
    chunk_rows: int
    threads: int = 1
    before_chunk: Callable[[], object] = lambda: None
    refused: dict[str, RowResult] = field(default_factory=dict)

    def land(self, rows: Sequence[Row]) -> "Landing":
        pending = list(rows)
        for _ in range(MAX_ROUNDS):
            chunks = [pending[start : start + self.chunk_rows] for start in range(0, len(pending), self.chunk_rows)]
            with ThreadPoolExecutor(self.threads) as pool:
                pending = [row for left in pool.map(self._send, chunks) for row in left]
            if not pending:
                return self
        raise AssertionError(f"{len(pending)} rows have no answer after {MAX_ROUNDS} rounds")

    def _send(self, chunk: list[Row]) -> list[Row]:
        """The rows that are to go again."""
        self.before_chunk()
        try:
            results = self.client.upsert_many(CONTACTS, chunk)
        except CrmUnavailable:
            return chunk
        self.refused |= {result.row_id: result for result in results if result.outcome == "refused"}
        unanswered = {r.row_id for r in results if r.outcome == "unresolved" and r.code != NOT_EXECUTED}
        unsent = {r.row_id for r in results if r.outcome == "unresolved" and r.code == NOT_EXECUTED}
        absent = self._absent([row for row in chunk if row["contactid"] in unanswered])
        return [row for row in chunk if row["contactid"] in unsent | absent]

    def _absent(self, rows: Sequence[Row]) -> set[str]:
        ids = [str(row["contactid"]) for row in rows]
        found: dict[str, dict[str, object]] | None = None
        while rows and found is None:
            try:
                found = self.client.fetch_rows(CONTACTS, ids, ["firstname", "donotbulkemail"])
            except CrmUnavailable:
                continue
        return {row_id for row_id in ids if row_id not in (found or {})}


def assert_landed_once(emulator: RunningEmulator, rows: Sequence[Row]) -> None:
    """The CRM holds exactly these rows as they were meant, each written by exactly one committed request."""
    stored = {row["contactid"]: row for row in emulator.control.rows("contacts")}
    wanted = {row["contactid"]: row for row in rows}
    assert stored.keys() == wanted.keys()
    assert all(stored[key].items() >= row.items() for key, row in wanted.items())
    assert Counter(written_ids(emulator.control.requests())) == dict.fromkeys(wanted, 1)


def written_ids(requests: Sequence[dict[str, Any]]) -> list[str]:
    """The ids in every committed write, once for each time."""
    ids = []
    for request in requests:
        for operation in request.get("operations") or [request]:
            if operation["committed"]:
                ids += _KEY.findall(f"{operation['path']} {operation['body']}")
    return ids
