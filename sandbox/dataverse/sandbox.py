"""One emulated environment put together: state, rules, authority, limits, faults, log. No network here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .clock import Clock
from .collation import Collation
from .environment import prepare
from .faults import Faults
from .journal import Journal
from .log import RequestLog
from .oauth import Authority
from .options import EmulatorOptions
from .service import Service
from .state import Store
from .tables import TABLES
from .throttle import Throttle


class Sandbox:
    """Everything behind the socket. With a directory, rows survive a restart; without, they live in memory."""

    def __init__(self, options: EmulatorOptions, *, token_key: bytes, directory: Path | None = None) -> None:
        self.options = self._first_options = options
        self.clock = Clock()
        journal = Journal(directory) if directory else None
        collation = Collation(options.collation)
        self.store = Store(TABLES, self.clock, collation=collation, journal=journal, options=options)
        self.service = Service(self.store, strict=options.strict_headers)
        self.authority = Authority(options, self.clock, token_key)
        self.throttle = Throttle(options, self.clock)
        self.faults = Faults()
        self.log = RequestLog(directory / "requests.jsonl" if directory and options.log_to_file else None)
        prepare(self.store, options)
        self.store.inspect = self.faults.inspect

    @contextmanager
    def unpoisoned(self) -> Iterator[None]:
        """Writes inside are not looked at by faults: they are those of the test, not of a client."""
        inspect, self.store.inspect = self.store.inspect, lambda _logical, _row: None
        try:
            yield
        finally:
            self.store.inspect = inspect

    def limit(self, options: EmulatorOptions) -> None:
        """Takes the limits, latencies, delays and life of tokens of other options, and forgets what was used so far."""
        self.options = self.throttle.options = self.store.options = options
        self.authority.lifetime_s = options.token_lifetime_s
        self.throttle.clear()

    def reset(self) -> None:
        """Back to the start: rows, schema, clock, limits, faults, log."""
        self.faults.clear()
        self.log.clear()
        self.clock.release()
        self.limit(self._first_options)
        self.store.clear()
        prepare(self.store, self.options)

    def close(self) -> None:
        """Leaves the journal as short as the rows need."""
        self.store.compact()
        self.store.close()
