"""The gate before an application user's requests: how many at once, and when none at all.

Service protection limits hold per application user, so all threads of one share one gate. Parallelism starts low and
doubles until the first 429, then grows by one per round and halves on a 429 (AIMD); the server's hint bounds it.
https://learn.microsoft.com/power-apps/developer/data-platform/api-limits
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.dataverse.pacing import Deadline, Pacing
from schemas.errors import CrmUnavailable

_FIRST_PERMITS = 4.0


class ThrottleGate:
    """Admits requests of one application user; thread-safe."""

    def __init__(self, max_parallelism: int, pacing: Pacing) -> None:
        self._setting = max_parallelism
        self._ceiling = float(max_parallelism)
        self._permits = min(_FIRST_PERMITS, self._ceiling)
        self._pacing = pacing
        self._in_flight = 0
        self._resume_at = float("-inf")
        self._last_cut_at = float("-inf")
        self._was_throttled = False
        self._refusals = 0
        self._changed = threading.Condition()

    @property
    def permits(self) -> int:
        """Requests admitted at once, as of now."""
        return max(1, int(self._permits))

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet answered."""
        return self._in_flight

    @property
    def paused_s(self) -> float:
        """Seconds until anybody is admitted again; 0 when the gate is open."""
        return max(0.0, self._resume_at - self._pacing.clock())

    @property
    def is_open(self) -> bool:
        """Whether whoever was admitted may still send: nobody is inside a Retry-After that was read meanwhile."""
        return self._resume_at <= self._pacing.clock()

    @contextmanager
    def admitted(self, deadline: Deadline) -> Iterator[float]:
        """Waits for a place and holds it; gives the moment of admission.

        `CrmUnavailable` when the deadline comes first, `CrmCancelled` when we are told to stop: nothing was sent.
        """
        admitted_at = self._enter(deadline)
        try:
            yield admitted_at
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify()

    def grow(self) -> None:
        """A request was served: admit a little more."""
        with self._changed:
            self._refusals = 0
            step = 1.0 / self._permits if self._was_throttled else 1.0
            self._permits = min(self._ceiling, self._permits + step)
            self._changed.notify()

    def pause(self, seconds: float | None, *, admitted_at: float) -> None:
        """A request admitted at `admitted_at` met a 429: nobody sends for so long, and half as many afterwards.

        None, when the server did not say how long, is a backoff that grows with each 429 in a row.
        Requests that were in flight together count as one sign of congestion, not as many.
        """
        with self._changed:
            now = self._pacing.clock()
            pause_s = self._pacing.backoff_s(self._refusals) if seconds is None else seconds
            self._resume_at = max(self._resume_at, now + pause_s)
            self._was_throttled = True
            if admitted_at > self._last_cut_at:
                self._permits = max(1.0, self._permits / 2)
                self._last_cut_at = now
                self._refusals += 1

    def hint(self, parallelism: int | None) -> None:
        """The server's recommended degree of parallelism; None leaves things as they are."""
        if parallelism is None:
            return
        with self._changed:
            self._ceiling = float(max(1, min(self._setting, parallelism)))
            self._permits = min(self._permits, self._ceiling)

    def _enter(self, deadline: Deadline) -> float:
        while True:
            self._pacing.check()
            with self._changed:
                now = self._pacing.clock()
                pause_s = self._resume_at - now
                if max(pause_s, 0.0) >= deadline.remaining_s:
                    raise _no_place(pause_s)
                if pause_s <= 0 and self._in_flight < self.permits:
                    self._in_flight += 1
                    return now
                if pause_s <= 0:
                    self._changed.wait(deadline.remaining_s)
                    continue
            self._pacing.wait(pause_s)


def _no_place(pause_s: float) -> CrmUnavailable:
    if pause_s <= 0:
        return CrmUnavailable("The deadline came before the request could be sent. Remedy: run again later.")
    return CrmUnavailable(
        "The CRM limits our requests and the deadline came first. Remedy: run again later.", status=429
    )


class FirstAlone:
    """Lets the first bulk call on a table go alone; later ones are not held.

    The server builds its bulk procedures on first use, and concurrent first calls collide there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._opened: set[str] = set()

    @contextmanager
    def turn(self, table: str) -> Iterator[None]:
        """Holds the table until the first call has returned."""
        if table in self._opened:
            yield
            return
        with self._lock:
            opening = self._opening.setdefault(table, threading.Lock())
        with opening:
            if table not in self._opened:
                yield
                self._opened.add(table)
                return
        yield
