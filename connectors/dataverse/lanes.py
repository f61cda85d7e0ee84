"""The pool of application users: each is a lane with its own tokens, gate and quota; work goes where there is room.

Service protection limits hold per user, so two users write almost twice as fast as one. What must stay together, the
rows of one chunk and the pages of one reading, goes by one lane.
https://learn.microsoft.com/power-apps/developer/data-platform/send-parallel-requests
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors.dataverse.sender import Sender


class LanePool:
    """Chooses a lane for each piece of work; thread-safe."""

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._senders = list(senders)
        self._busy = [0] * len(self._senders)
        self._next = 0
        self._lock = threading.Lock()

    @property
    def senders(self) -> list[Sender]:
        """All lanes, in the order of the settings."""
        return list(self._senders)

    @contextmanager
    def lane(self) -> Iterator[Sender]:
        """The lane that is paused for the shortest time, then the one with the least work for what it admits."""
        number = self._take()
        try:
            yield self._senders[number]
        finally:
            with self._lock:
                self._busy[number] -= 1

    def _take(self) -> int:
        with self._lock:
            count = len(self._senders)
            in_turn = [(self._next + step) % count for step in range(count)]
            number = min(in_turn, key=self._load)
            self._next = (number + 1) % count
            self._busy[number] += 1
            return number

    def _load(self, number: int) -> tuple[float, float]:
        gate = self._senders[number].gate
        return gate.paused_s, self._busy[number] / gate.permits
