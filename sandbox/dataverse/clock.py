"""The emulator's clock: wall time plus an offset, or pinned; set and advanced through the control API."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """`seconds()` is the emulated time as seconds since 1970; `stamp()` is the same to the second, as rows carry it."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.pinned: float | None = None
        self._stamped = (-1, "")

    def seconds(self) -> float:
        return self.pinned if self.pinned is not None else time.time() + self.offset

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def stamp(self) -> str:
        second = int(self.seconds())
        if self._stamped[0] != second:
            self._stamped = (second, stamp_of(datetime.fromtimestamp(second, UTC)))
        return self._stamped[1]

    def set(self, at: datetime, *, pinned: bool = False) -> None:
        self.offset = at.timestamp() - time.time()
        self.pinned = at.timestamp() if pinned else None

    def advance(self, seconds: float) -> None:
        self.offset += seconds
        if self.pinned is not None:
            self.pinned += seconds

    def release(self) -> None:
        """Back to wall time."""
        self.offset, self.pinned = 0.0, None


def stamp_of(at: datetime) -> str:
    """UTC, seconds, `Z`: the only form in which a DateTime column is kept and read."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def days_later(at: datetime, days: float) -> datetime:
    return at + timedelta(days=days)
