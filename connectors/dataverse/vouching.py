"""Vouching: what was justified when it was taken up may not be so after a long wait, so it is asked again before it is sent.

A write may wait for minutes: at the gate, for a token, between attempts, behind the other parts of its chunk.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from schemas.errors import ClaimStale

FRESH_S = 0.5
"""For so long after a yes it is not asked again: a claim that goes out at once costs no second look."""


@dataclass
class _Vouch:
    still_stands: Callable[[], bool]
    clock: Callable[[], float]
    asked_at: float


_CURRENT: ContextVar[_Vouch | None] = ContextVar("vouch", default=None)


@contextmanager
def vouched(still_stands: Callable[[], bool], clock: Callable[[], float]) -> Iterator[None]:
    """What this thread sends within the block stands as of now, and `still_stands` tells whether it does later."""
    token = _CURRENT.set(_Vouch(still_stands, clock, clock()))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def require_vouched() -> None:
    """To be called when all is ready to be sent; ClaimStale where what is to be sent stands no more."""
    vouch = _CURRENT.get()
    if vouch is None or vouch.clock() - vouch.asked_at < FRESH_S:
        return
    if not vouch.still_stands():
        raise ClaimStale("What was to be sent is not justified any more. Remedy: claim it anew; nothing was sent.")
    vouch.asked_at = vouch.clock()
