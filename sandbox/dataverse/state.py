"""Rows, versions and transactions. Knows tables, but no request and no rule of the Web API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .clock import Clock
from .collation import Collation
from .columns import Column, Row, Table
from .definitions import table_of
from .journal import Change, Journal
from .options import EmulatorOptions

TABLE_TABLE = "entity"


class TableRows:
    """The rows of one table by id, and the versions at which deleted rows went.

    A row is never changed in place: a write puts a new dict, so that the old image serves to roll back.
    `changes` counts writes, for what is derived from a table and kept.
    """

    def __init__(self, table: Table, collation: Collation) -> None:
        self.table = table
        self._original = table
        self.collation = collation
        self.rows: dict[str, Row] = {}
        self.gone: dict[str, int] = {}
        self.changes = 0
        self._indexes: dict[str, dict[Any, set[str]]] = {}

    def put(self, row_id: str, row: Row) -> None:
        old = self.rows.get(row_id)
        self.changes += 1
        self.rows[row_id] = row
        self.gone.pop(row_id, None)
        for name, index in self._indexes.items():
            self._move(index, row_id, (old or {}).get(name), row.get(name))

    def remove(self, row_id: str, version: int) -> None:
        old = self.rows.pop(row_id, None)
        self.changes += 1
        self.gone.pop(row_id, None)
        self.gone[row_id] = version
        for name, index in self._indexes.items():
            self._move(index, row_id, (old or {}).get(name), None)

    def forget(self, row_id: str) -> None:
        """Undoes a create: as if the row had never been."""
        self.remove(row_id, 0)
        self.gone.pop(row_id, None)

    def clear(self) -> None:
        """No rows, and the columns that the table had at first."""
        self.table = self._original
        self.changes += 1
        self.rows.clear()
        self.gone.clear()
        self._indexes.clear()

    def ids_where(self, name: str, values: Iterable[Any]) -> list[str]:
        """Ids of the rows whose property equals one of some values, unordered; its index is kept from now on."""
        index = self._indexes.get(name)
        if index is None:
            index = self._indexes[name] = {}
            for row_id, row in self.rows.items():
                self._move(index, row_id, None, row.get(name))
        return [row_id for key in {self._key(value) for value in values} for row_id in index.get(key, ())]

    def _key(self, value: Any) -> Any:
        return self.collation.fold(value) if isinstance(value, str) else value

    def _move(self, index: dict[Any, set[str]], row_id: str, old: Any, new: Any) -> None:
        before = None if old is None else self._key(old)
        after = None if new is None else self._key(new)
        if before == after:
            return
        if before is not None:
            index[before].discard(row_id)
            if not index[before]:
                del index[before]
        if after is not None:
            index.setdefault(after, set()).add(row_id)


class Store:
    """All tables of one environment, with one counter of versions over them, as the server's rowversion is."""

    def __init__(
        self,
        tables: Iterable[Table],
        clock: Clock,
        *,
        collation: Collation | None = None,
        journal: Journal | None = None,
        options: EmulatorOptions | None = None,
    ) -> None:
        self.clock = clock
        self.options = options or EmulatorOptions()
        self.collation = collation or Collation()
        self.data = {table.logical: TableRows(table, self.collation) for table in tables}
        self.by_set = {rows.table.set_name: rows for rows in self.data.values() if not rows.table.internal}
        self.dependents = {logical: self._referring(logical) for logical in self.data}
        self._built_in = frozenset(self.data)
        self.inspect: Callable[[str, Row], None] = lambda _logical, _row: None
        self.history: dict[tuple[str, str], int] = {}
        self.grants: dict[str, tuple[tuple[int, ...], frozenset[str] | None]] = {}
        self.version = 1000
        self.commits = 0
        self._journal = journal
        self._undo: list[tuple[TableRows, str, Row | None, int | None]] = []
        self._changes: list[Change] = []
        self._depth = 0
        self._replay()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are kept together or not at all; an inner transaction is a savepoint."""
        mark, journaled = len(self._undo), len(self._changes)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._roll_back(mark, journaled)
            raise
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._commit()

    def put(self, logical: str, row_id: str, row: Row) -> Row:
        """Writes a row image under the next version."""
        rows = self.data[logical]
        self.version += 1
        row["versionnumber"] = self.version
        self._remember(rows, row_id)
        rows.put(row_id, row)
        self._changes.append((logical, row_id, row, self.version))
        self.history[logical, row_id] = self.history.get((logical, row_id), 0) + 1
        return row

    def remove(self, logical: str, row_id: str) -> None:
        rows = self.data[logical]
        self.version += 1
        self._remember(rows, row_id)
        rows.remove(row_id, self.version)
        self._changes.append((logical, row_id, None, self.version))

    def add_table(self, table: Table) -> None:
        """A table of the environment's own, without rows; of one that was added the definition alone is new."""
        if table.logical in self.data:
            self.data[table.logical].table = table
        else:
            self.data[table.logical] = self.by_set[table.set_name] = TableRows(table, self.collation)
            self.dependents[table.logical] = []

    def drop_table(self, logical: str) -> None:
        """Takes away a table that was added, with its rows."""
        if logical in self._built_in:
            raise ValueError(f"{logical} was not added")
        del self.by_set[self.data.pop(logical).table.set_name], self.dependents[logical]

    def compact(self) -> None:
        if self._journal is not None:
            self._journal.rewrite(self._present())

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def clear(self) -> None:
        """Empties every table, drops those added; the version goes on: no token of before is valid by chance."""
        for logical in set(self.data) - self._built_in:
            self.drop_table(logical)
        for rows in self.data.values():
            rows.clear()
        self.history.clear()
        if self._journal is not None:
            self._journal.rewrite([])

    def _referring(self, logical: str) -> list[tuple[TableRows, Column]]:
        """The lookups of business tables that may point at a row of this one."""
        if logical == "systemuser":
            return []
        return [
            (rows, column)
            for rows in self.data.values()
            for column in rows.table.columns.values()
            if any(target.table == logical for target in column.targets)
        ]

    def _remember(self, rows: TableRows, row_id: str) -> None:
        self._undo.append((rows, row_id, rows.rows.get(row_id), rows.gone.get(row_id)))

    def _roll_back(self, mark: int, journaled: int) -> None:
        while len(self._undo) > mark:
            rows, row_id, old, gone_at = self._undo.pop()
            if old is not None:
                rows.put(row_id, old)
                continue
            rows.forget(row_id)
            if gone_at is not None:
                rows.gone[row_id] = gone_at
        del self._changes[journaled:]

    def _commit(self) -> None:
        changes, self._changes = self._changes, []
        self._undo.clear()
        self.commits += bool(changes)
        if changes and self._journal is not None:
            self._journal.append(changes)

    def _present(self) -> Iterator[Change]:
        for logical, rows in self.data.items():
            for row_id, row in rows.rows.items():
                yield logical, row_id, row, row["versionnumber"]
            for row_id, version in rows.gone.items():
                yield logical, row_id, None, version

    def _replay(self) -> None:
        for changes in self._journal.replay() if self._journal else ():
            for logical, row_id, row, version in changes:
                self.version = max(self.version, version)
                if logical in self.data:
                    self._replay_change(self.data[logical], row_id, row, version)

    def _replay_change(self, rows: TableRows, row_id: str, row: Row | None, version: int) -> None:
        """One change again; those of a table that is gone by now were passed over by the caller."""
        if row is not None:
            if rows.table.logical == TABLE_TABLE:
                self.add_table(table_of(row))
            rows.put(row_id, row)
            return
        if rows.table.logical == TABLE_TABLE and row_id in rows.rows:
            self.drop_table(table_of(rows.rows[row_id]).logical)
        rows.remove(row_id, version)
