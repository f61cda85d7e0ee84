"""Uploaded samples, in memory only and for a while: they hold people's data."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.errors import ConfigurationError

MOST = 4
KEPT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One uploaded file."""

    name: str
    payload: bytes = field(repr=False)
    at: float = 0.0


class Samples:
    """The last few uploads; each goes after half an hour, or when it is done with. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, Sample] = {}
        self._turn = threading.Lock()

    def keep(self, name: str, payload: bytes) -> str:
        """Keep an upload, and return the word that finds it again."""
        word = secrets.token_urlsafe(12)
        with self._turn:
            self._sweep()
            while len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[word] = Sample(name, payload, self._clock())
        return word

    def find(self, word: str) -> Sample:
        """An upload. ConfigurationError where it is gone."""
        with self._turn:
            self._sweep()
            sample = self._kept.get(word)
        if sample is None:
            raise ConfigurationError("The file is kept for half an hour only. Choose it again.")
        return sample

    def forget(self, word: str) -> None:
        """Let an upload go."""
        with self._turn:
            self._kept.pop(word, None)

    def _sweep(self) -> None:
        until = self._clock() - KEPT_S
        self._kept = {word: sample for word, sample in self._kept.items() if sample.at > until}
