"""The file behind the state: one line per committed transaction, replayed at start, compacted at a clean stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

Change = tuple[str, str, dict[str, Any] | None, int]


class Journal:
    """Appends lines of changes (table, row id, row image or None, version) to DIR/journal.jsonl.

    A line torn by a kill is the uncommitted tail: it is cut off at the next start.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal.jsonl"
        directory.mkdir(parents=True, exist_ok=True)
        self._file: Any = None

    def replay(self) -> Iterator[list[Change]]:
        """All committed transactions in order."""
        if not self.path.exists():
            return
        kept = 0
        with self.path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                kept += len(line)
                yield [(table, row_id, row, version) for table, row_id, row, version in orjson.loads(line)]
        with self.path.open("r+b") as whole:
            whole.truncate(kept)

    def append(self, changes: list[Change]) -> None:
        if self._file is None:
            self._file = self.path.open("ab")
        self._file.write(orjson.dumps(changes) + b"\n")
        self._file.flush()

    def rewrite(self, changes: Iterable[Change]) -> None:
        """Replaces the history by the present."""
        self.close()
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as out:
            for change in changes:
                out.write(orjson.dumps([change]) + b"\n")
        fresh.replace(self.path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
