"""What a benchmark is asked for, and what most of them need: a durable server of their own, and medians with their range."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil

from connectors.store.address import ServerAddress
from connectors.store.server import ensure_server, stop_server


@dataclass(frozen=True, slots=True)
class Ask:
    """Rows at the largest, runs of each, the seed, whether peers run too, whom to tell how it goes, our writers to the CRM
    (None: as the policy ships), the folder of the server that keeps known people for the next run (None: none is kept).
    """

    rows: int
    repeat: int
    seed: int
    peers: bool
    tell: Callable[[str], None]
    writers: int | None = None
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A durable server of the benchmark's own."""

    address: ServerAddress
    process: psutil.Process


@contextmanager
def own_server(directory: Path) -> Iterator[Server]:
    """A PostgreSQL server under the directory, as it ships with fsync on, stopped at the end."""
    address = ensure_server(directory / "postgres")
    try:
        yield Server(address, psutil.Process(postmaster_of(directory)))
    finally:
        stop_server(directory / "postgres")


def postmaster_of(directory: Path) -> int:
    """The process id of the server under the directory."""
    return int((directory / "postgres" / "pgdata" / "postmaster.pid").read_text().splitlines()[0])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and from what to what."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def p95(values: Sequence[float]) -> float:
    """The value that nineteen of twenty do not exceed."""
    return quantiles(values, n=20)[18] if len(values) > 1 else values[0]
