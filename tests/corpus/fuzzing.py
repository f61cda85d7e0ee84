"""A fuzzing run led by coverage: `python -m tests.corpus.fuzzing --seconds 60 [READER …]`.

Each reader's whole inputs and kept seeds are mutated; what reaches a line of `connectors` that nothing before it reached
is kept in `seeds/`, and so is what crashes a reader, takes it too long or too much memory (then the run fails). The
kept seeds are replayed by `tests/corpus/test_seeds.py`.
"""

import argparse
import random
import sys
import time
import tracemalloc
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import connectors
from tests.corpus.readers import READERS, SEEDS, refuses_or_reads, whole_inputs

OURS = str(Path(connectors.__file__).parent)
LARGEST = 4096
LONGEST_S = 30.0
# What a reader may take beyond the payload itself, however the payload is made.
MEMORY_BYTES = 64 << 20
MARKS = (
    *(
        b"\x00",
        b'"',
        b";",
        b",",
        b"\n",
        b"\r\n",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xc3",
        b"\xe2\x80\xae",
    ),
    *(b"[", b"]", b"{", b"}", b":", b"null", b"[" * 300, b'{"a":' * 300, b"[b]" * 300, b"9" * 400, b"-1e999", b"1e400"),
    *(
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"ustar",
        b"&a [*a]",
        b"<!ENTITY",
        b"=1+1",
        b"%",
        b"&",
        b"=",
        b"#",
        b"\\ud800",
        b"_x0041_",
    ),
)


def mutated(pool: list[bytes], dice: random.Random) -> bytes:
    """One of the pool with up to six pieces cut out, doubled, overwritten, put in or taken from another."""
    payload = bytearray(dice.choice(pool))
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(payload) + 1)
        match dice.randrange(5):
            case 0:
                del payload[at : at + dice.randint(1, 60)]
            case 1:
                payload[at:at] = dice.choice(MARKS)
            case 2:
                payload[at:at] = payload[at : at + dice.randint(1, 80)]
            case 3 if payload:
                payload[min(at, len(payload) - 1)] = dice.randrange(256)
            case _:
                other = dice.choice(pool)
                start = dice.randrange(len(other) + 1)
                payload[at:at] = other[start : start + dice.randint(1, 80)]
    return bytes(payload)


def lines_of(name: str, payload: bytes) -> set[tuple[str, int]]:
    """The lines of `connectors` that a reader runs for these bytes, in this process."""
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        refuses_or_reads(name, payload)
    finally:
        sys.settrace(None)
    return reached


def read_within_bounds(name: str, payload: bytes) -> None:
    """Read or refuse; AssertionError where it took too long or too much memory."""
    started = time.perf_counter()
    tracemalloc.start()
    try:
        refuses_or_reads(name, payload)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.perf_counter() - started < LONGEST_S, f"{name}: too slow"
    assert peak < MEMORY_BYTES + 100 * len(payload), f"{name}: {peak >> 20} MB for {len(payload)} bytes"


def keep(name: str, payload: bytes) -> Path:
    """Keep the bytes among a reader's seeds."""
    path = SEEDS / name / sha256(payload).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(payload)
    return path


def kept_seeds(name: str) -> list[Path]:
    """A reader's kept seeds."""
    return sorted((SEEDS / name).glob("*"))


def fuzz(name: str, *, seconds: float, dice: random.Random) -> dict[str, int]:
    """Fuzz one reader for some seconds; the figures of the run. Raises what crashed, once its input is kept."""
    pool = [*whole_inputs(name), *(path.read_bytes() for path in kept_seeds(name))]
    reached = set().union(*(lines_of(name, payload) for payload in pool))
    before, tried, kept = len(reached), 0, 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        payload = mutated(pool, dice)[: 1 << 16]
        tried += 1
        try:
            if tried % 10 == 0:
                read_within_bounds(name, payload)
            new = lines_of(name, payload) - reached
        except BaseException:
            sys.stderr.write(f"kept: {keep(name, payload)}\n")
            raise
        if new and len(payload) <= LARGEST:
            reached |= new
            pool.append(payload)
            keep(name, payload)
            kept += 1
    return {"tried": tried, "lines": len(reached), "new lines": len(reached) - before, "kept": kept}


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("readers", nargs="*", default=list(READERS), choices=list(READERS))
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--seed", type=int, default=None)
    options = asked.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    sys.stdout.write(f"seed {seed}\n")
    for name in options.readers:
        found = fuzz(name, seconds=options.seconds, dice=random.Random(f"{seed}{name}"))
        sys.stdout.write(f"{name}: {', '.join(f'{count} {what}' for what, count in found.items())}\n")


if __name__ == "__main__":
    main()
