"""A CRM in memory that does what it is told to do with a row: take it, refuse it, or lose its answer.

With it, delivery over the real outbox: what is sent, in chunks of how many, and what a row holds then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from connectors.dataverse import NOT_EXECUTED, RowResult, TableName
from connectors.store.address import ServerAddress
from pipelines.operations.delivery import DeliveryReport, deliver_phase
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, with_policy
from schemas.errors import ClaimStale
from schemas.intents import Intent, Method, Phase
from tests.outboxing import deliver

Rows = Mapping[str, object]


@dataclass
class MemoryCrm:
    """Rows by table and id. `fates` says by row id what becomes of each write in turn; otherwise it is acknowledged."""

    rows: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    fates: dict[str, list[str]] = field(default_factory=dict)
    calls: list[tuple[str, str, list[str]]] = field(default_factory=list)
    etags: list[str] = field(default_factory=list)
    rows_at_once: int = 100
    asked_in_bulk: set[bool] = field(default_factory=set)
    is_stopped: bool = False
    pauses: list[int] = field(default_factory=list)
    still_stands: Callable[[], bool] = lambda: True

    def chunk_rows(self, table: TableName, *, in_bulk: bool = True) -> int:
        self.asked_in_bulk.add(in_bulk)
        return self.rows_at_once

    def stopped(self) -> AbstractContextManager[None]:
        self.is_stopped = True
        return nullcontext()

    def pause(self, attempt: int) -> None:
        self.pauses.append(attempt)

    @contextmanager
    def vouched(self, still_stands: Callable[[], bool]) -> Iterator[None]:
        self.still_stands = still_stands
        yield

    def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        return self._write("upsert", table, rows)

    def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        return self._write("lower", table, rows)

    def update_if_match(self, table: TableName, rows: Sequence[tuple[Rows, str]]) -> list[RowResult]:
        self.etags += [etag for _, etag in rows]
        return self._write("patch", table, [row for row, _ in rows])

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]:
        return self._write("delete", table, [{table.primary_key: row_id} for row_id in ids])

    def fetch_rows(self, table: TableName, ids: Sequence[str], select: Sequence[str]) -> dict[str, dict[str, object]]:
        self.calls.append(("fetch", table.logical_name, list(ids)))
        held = {row_id: self.rows.get((table.logical_name, row_id)) for row_id in ids}
        return {
            row_id: {**{name: row[name] for name in select if name in row}, "@odata.etag": f"etag of {row_id}"}
            for row_id, row in held.items()
            if row is not None
        }

    def _write(self, method: str, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        self.calls.append((method, table.logical_name, [str(row[table.primary_key]) for row in rows]))
        # In another order than sent: an answer belongs to its row, not to its place.
        return [self._one(method, table, row) for row in reversed(rows)]

    def _one(self, method: str, table: TableName, row: Rows) -> RowResult:
        row_id = str(row[table.primary_key])
        fate = self.fates[row_id].pop(0) if self.fates.get(row_id) else "acknowledged"
        if fate in ("acknowledged", "lost after"):
            self._take(method, table, row_id, {k: v for k, v in row.items() if k != table.primary_key})
        if fate == "acknowledged":
            return RowResult(row_id, "acknowledged", 204, None, f"request {row_id}")
        if fate == "not executed":
            # Strings of their own: it is what they say that counts.
            return RowResult(row_id, "".join("unresolved"), 503, "".join(NOT_EXECUTED), None)  # type: ignore[arg-type]
        if fate.startswith("lost"):
            return RowResult(row_id, "unresolved", None, None, None)
        return RowResult(row_id, "conflict" if fate == "conflict" else "refused", 400, f"code of {fate}", "r")

    def _take(self, method: str, table: TableName, row_id: str, columns: Rows) -> None:
        key = (table.logical_name, row_id)
        if method == "delete":
            self.rows.pop(key, None)
        else:
            self.rows[key] = {**self.rows.get(key, {}), **columns}

    def written(self) -> list[tuple[str, str, list[str]]]:
        return [call for call in self.calls if call[0] != "fetch"]


class Waiting(MemoryCrm):
    """Its first write waits, and `meanwhile` something happens; then what is to be sent is looked up again."""

    meanwhile: Callable[[], object] | None = None
    tries: int = 0

    def upsert_many(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        self._wait()
        return super().upsert_many(table, rows)

    def update_existing(self, table: TableName, rows: Sequence[Rows]) -> list[RowResult]:
        self._wait()
        return super().update_existing(table, rows)

    def _wait(self) -> None:
        self.tries += 1
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
            if not self.still_stands():
                raise ClaimStale("waited")


def chunked(workspace: Workspace, rows: int, writers: int = 1) -> Workspace:
    crm = workspace.policy.crm.model_copy(update={"chunk_rows": rows, "writers": writers})
    return with_policy(workspace, workspace.policy.model_copy(update={"crm": crm}))


def deliver_all(workspace: Workspace, crm: MemoryCrm, run_id: UUID, phase: Phase = Phase.CONTACTS) -> DeliveryReport:
    return deliver_phase(Session(workspace, run_id=run_id), crm, phase)


def held(crm: MemoryCrm, intent: Intent) -> dict[str, object] | None:
    return crm.rows.get((intent.table_name, str(intent.row_id)))


def known_row(store: ServerAddress, crm: MemoryCrm, intent: Intent, **columns: Any) -> Intent:
    """A correction of a row that the CRM acknowledged with these columns, and holds so."""
    deliver(store, replace(intent, columns=columns))
    crm.rows[intent.table_name, str(intent.row_id)] = dict(columns)
    return replace(intent, phase=Phase.CORRECTIONS, method=Method.PATCH)
