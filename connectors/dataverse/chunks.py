"""How many rows go in one call: measured, not guessed.

The vendor advises to start with 100. A call that is over in a moment is mostly round trip, so the next one takes more
rows; one that takes long holds locks, nears the server's own time limits and keeps a withdrawal waiting, so the next
one takes fewer. And a call fails whole for one bad row, so the more of them there are, the fewer rows it takes.
https://learn.microsoft.com/power-apps/developer/data-platform/bulk-operations
"""

import math
import threading

FAST_S = 0.5
SLOW_S = 5.0
MOST_ROWS = 1000
_GROWTH = 1.5
# Calls that must be served after a cut before the chunk may grow again: a size that failed is not tried at once.
_CALLS_HELD = 20
# So many calls may fail for a bad row: smaller ones cost more in calls than they spare in rows sent twice (measured, B5).
_MAY_FAIL = 0.5
# Rows before the present ones that tell how many are bad; what is known of fewer is taken as of so many.
_ROWS_REMEMBERED, _ROWS_ASSUMED = 10_000, 1_000
# With more bad rows than these nearly every call fails, of whatever size: then few calls are the best there is.
_HOPELESS, _FEWEST_ROWS = 0.1, 16


class ChunkSize:
    """The number of rows for one table and one way of writing; thread-safe.

    `most_bytes` bounds what a grown body may come to; the rows it starts with are not held to it.
    """

    def __init__(self, start_rows: int, most_bytes: int) -> None:
        self._start = start_rows
        self._rows = start_rows
        self._most_bytes = float(most_bytes)
        self._held = 0
        self._seen, self._bad = 0.0, 0.0
        self._lock = threading.Lock()

    @property
    def rows(self) -> int:
        """Rows that the next call may carry."""
        share = self._bad / max(self._seen, _ROWS_ASSUMED)
        if not 0 < share < _HOPELESS:
            return self._rows
        return min(self._rows, max(_FEWEST_ROWS, int(math.log1p(-_MAY_FAIL) / math.log1p(-share))))

    def served(self, rows: int, *, size_bytes: int, seconds: float) -> None:
        """A call of so many rows was done whole. Only one as large as the present size tells anything about it."""
        with self._lock:
            self._held = max(0, self._held - 1)
            if rows < self._rows:
                return
            if seconds > SLOW_S or (size_bytes > self._most_bytes and rows > self._start):
                self._cut(rows)
            elif seconds < FAST_S and not self._held and size_bytes * _GROWTH <= self._most_bytes:
                self._rows = min(MOST_ROWS, max(rows + 1, int(rows * _GROWTH)))

    def timed_out(self, rows: int) -> None:
        """The server gave a call of so many rows up for its time."""
        with self._lock:
            self._cut(rows)

    def too_large(self, rows: int, *, size_bytes: int) -> None:
        """The server refused a body of this size; none will grow to it again."""
        with self._lock:
            self._most_bytes = min(self._most_bytes, size_bytes - 1)
            self._cut(rows)

    def settled(self, rows: int, *, bad: int) -> None:
        """Of so many rows each has its answer, and so many were refused for what they are."""
        with self._lock:
            kept = max(0.0, 1 - rows / _ROWS_REMEMBERED)
            self._seen, self._bad = self._seen * kept + rows, self._bad * kept + bad

    def _cut(self, rows: int) -> None:
        # Calls that were under way together cut once, each to half of what it carried itself.
        self._rows = max(1, min(self._rows, rows // 2))
        self._held = _CALLS_HELD


class ChunkSizes:
    """The chunk sizes of all tables; thread-safe."""

    def __init__(self, start_rows: int, most_bytes: int) -> None:
        self._start = (start_rows, most_bytes)
        self._sizes: dict[tuple[str, bool], ChunkSize] = {}
        self._lock = threading.Lock()

    def of(self, table: str, *, in_bulk: bool) -> ChunkSize:
        """The size for a table, in bulk calls or in `$batch`: a row takes several times as long in the latter."""
        with self._lock:
            return self._sizes.setdefault((table, in_bulk), ChunkSize(*self._start))
