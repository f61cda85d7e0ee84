"""The limits of the bare CRM: so many requests at once, so many rows a second, 429 with Retry-After beyond. No network."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

# A 429 needs this long to reach the threads of a client that were already sending when it was given.
ON_THE_WAY_S = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in ms. `rows_per_s` None is no limit of rows; else a bucket that is empty at first, fills at that rate and
    holds `burst_s` seconds of it, as the vendor's limits hold a window (300 s there).
    """

    latency_ms_per_request: float = 13.0
    latency_ms_per_row: float = 1.1
    max_concurrent: int = 52
    dop_hint: int = 52
    rows_per_s: float | None = None
    burst_s: float = 5.0

    def work_s(self, rows: int) -> float:
        """How long a request with so many rows takes."""
        return (self.latency_ms_per_request + self.latency_ms_per_row * rows) / 1000


@dataclass
class Counted:
    """What came: requests and rows admitted, 429s by reason. `inside` are requests that came while a Retry-After was running
    which they could know of, `on_the_way` those that were being sent when it was given.
    """

    requests: int = 0
    rows_written: int = 0
    refused_concurrent: int = 0
    refused_rows: int = 0
    inside: int = 0
    on_the_way: int = 0
    most_at_once: int = 0
    first_at: float | None = None
    last_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data, with the seconds from the first request to the last answer."""
        span = (self.last_at or 0.0) - (self.first_at or 0.0)
        return {**asdict(self), "seconds": span}


@dataclass
class Admission:
    """Admits requests at moments of a monotonic clock, or says how many whole seconds they are to wait."""

    limits: Limits
    counted: Counted = field(default_factory=Counted)
    _running: int = 0
    _held: float = 0.0
    _filled_at: float | None = None
    _told_at: float = -math.inf
    _blocked_until: float = -math.inf

    def admit(self, rows: int, now: float) -> int | None:
        """None where the request may run (then `finish` must follow), else its Retry-After in seconds.

        `rows` are those that it writes.
        """
        if self.counted.first_at is None:
            self.counted.first_at = now
        if now < self._blocked_until:
            return self._refuse_pushed(now)
        if self._running >= self.limits.max_concurrent:
            self.counted.refused_concurrent += 1
            return 1
        wait_s = self._wait_for(rows, now)
        if wait_s > 0:
            self.counted.refused_rows += 1
            self._told_at, self._blocked_until = now, now + max(1, math.ceil(wait_s))
            return math.ceil(self._blocked_until - now)
        self._running += 1
        self.counted.requests += 1
        self.counted.most_at_once = max(self.counted.most_at_once, self._running)
        return None

    def finish(self, rows_written: int, now: float) -> None:
        """An admitted request is answered."""
        self._running -= 1
        self.counted.rows_written += rows_written
        self.counted.last_at = now

    def _refuse_pushed(self, now: float) -> int:
        if now - self._told_at > ON_THE_WAY_S:
            self.counted.inside += 1
        else:
            self.counted.on_the_way += 1
        return math.ceil(self._blocked_until - now)

    def _wait_for(self, rows: int, now: float) -> float:
        """Takes the rows from the bucket and gives 0, or gives the seconds until it would hold them."""
        rate = self.limits.rows_per_s
        if rate is None:
            return 0.0
        since = now - (self._filled_at if self._filled_at is not None else now)
        self._held, self._filled_at = min(self._held + rate * since, rate * self.limits.burst_s), now
        if self._held < rows:
            return (rows - self._held) / rate
        self._held -= rows
        return 0.0
