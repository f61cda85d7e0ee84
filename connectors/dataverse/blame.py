"""Whose trouble a vague refusal is: that of the rows, while their table takes others, or the configuration's."""

import threading

MOST_ROWS = 10
"""So many rows may be refused vaguely, and nothing of their table taken meanwhile, before it is no row's own trouble.

One address has some six rows of consent, and what takes offence at it does so at all of them.
"""


class Blame:
    """What is known of the tables that were written to; thread-safe."""

    def __init__(self) -> None:
        self._refused: dict[str, int] = {}
        self._lock = threading.Lock()

    def took(self, table: str) -> None:
        """The table took a row."""
        with self._lock:
            self._refused[table] = 0

    def is_rows_own(self, table: str, rows: int) -> bool:
        """Whether so many rows, all of a call, were refused for what they hold; never before the table took one."""
        with self._lock:
            if table not in self._refused:
                return False
            self._refused[table] += rows
            return self._refused[table] <= MOST_ROWS
