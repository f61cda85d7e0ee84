"""Garbage collection while many objects are made that all live on: looked for seldom, since there is none to find."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = (200_000, 50, 100)


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Within the block cycles are looked for after 200,000 new objects, not after the 50,000 of this package. Measured
    against Python's own 700, a plan of 80,000 intents took 1.9 s of processor time instead of 3.0. What no cycle holds goes
    at once, as always.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
