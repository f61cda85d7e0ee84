"""Waiting: deadlines, backoff, and what a Retry-After says. Clock, sleep and chance are passed in."""

import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from schemas.errors import CrmCancelled

_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
_FIRST_BACKOFF_S = 0.5
_BACKOFF_CAP_S = 30.0


@dataclass(frozen=True, slots=True)
class Pacing:
    """A monotonic clock in seconds, a sleep, a source of jitter, and the event that ends all waiting."""

    clock: Callable[[], float]
    sleep: Callable[[float], object]
    chance: random.Random = field(default_factory=random.Random)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def deadline(self, seconds: float) -> "Deadline":
        """A deadline so many seconds from now."""
        return Deadline(self.clock() + seconds, self.clock)

    def wait(self, seconds: float) -> None:
        """Sleeps; `CrmCancelled` before and after, once we were told to stop."""
        self.check()
        self.sleep(seconds)
        self.check()

    def check(self) -> None:
        """`CrmCancelled` once we were told to stop."""
        if self.cancelled.is_set():
            raise CrmCancelled("The work was stopped. Remedy: run again; this was not executed.")

    def backoff_s(self, attempt: int) -> float:
        """Half to all of 0.5 s, 1 s, 2 s... up to 30 s: doubled for each attempt, which counts from 0."""
        ceiling = min(_BACKOFF_CAP_S, _FIRST_BACKOFF_S * 2.0 ** min(attempt, 10))
        return ceiling * self.chance.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the clock of `Pacing`."""

    at: float
    clock: Callable[[], float]

    @property
    def remaining_s(self) -> float:
        """Seconds left; negative when it has passed."""
        return self.at - self.clock()


def retry_after_s(value: str | None, *, answered_at: str | None) -> float | None:
    """Seconds that a Retry-After asks for: a number or an HTTP date; None if missing, unreadable or not positive.

    A date is measured against the answer's own `Date` header, so that the two clocks need not agree.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        until = _http_date(text)
        if until is None:
            return None
        seconds = (until - (_http_date(answered_at) or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None


def _http_date(text: str | None) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
