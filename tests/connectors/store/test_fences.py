"""Who asks a fence is answered by what was asked after they came, be it by themselves or by another thread."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.fences import Fence, fenced_lock
from schemas.errors import LockLost


class Slow:
    """A session that answers once it is let go, and counts how often it was asked."""

    def __init__(self, token: int = 7) -> None:
        self.token, self.asked, self.may_answer = token, 0, threading.Event()

    def execute(self, statement: str, parameters: tuple[str, ...]) -> Any:
        self.asked += 1
        assert self.may_answer.wait(30)
        return self

    def fetchone(self) -> tuple[int]:
        return (self.token,)


class Gone(Slow):
    def fetchone(self) -> tuple[int]:
        raise psycopg.OperationalError


class Turns:
    """A lock that knows how many have come for it, who waits among them."""

    def __init__(self) -> None:
        self._lock, self._come = threading.Lock(), itertools.count(1)
        self.come = 0

    def __enter__(self) -> None:
        self.come = next(self._come)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def ask_together(session: Slow, threads: int) -> list[BaseException | None]:
    """One thread asks, the others come while it waits; what each was told."""
    turns = Turns()
    fence = Fence("writer", 7, session, turns)  # type: ignore[arg-type]
    with ThreadPoolExecutor(threads) as pool:
        first = pool.submit(fence.require)
        while session.asked == 0:
            time.sleep(0.01)
        others = [pool.submit(fence.require) for _ in range(threads - 1)]
        while turns.come < threads:
            time.sleep(0.01)
        session.may_answer.set()
    return [one.exception() for one in (first, *others)]


def test_one_of_those_who_wait_asks_for_all_and_none_is_answered_by_what_was_asked_before_they_came() -> None:
    session = Slow()
    assert ask_together(session, 8) == [None] * 8
    assert session.asked == 2


def test_who_comes_later_asks_anew() -> None:
    session = Slow()
    session.may_answer.set()
    fence = Fence("writer", 7, session)  # type: ignore[arg-type]
    fence.require()
    session.token = 8
    with pytest.raises(LockLost, match="writer"):
        fence.require()
    assert session.asked == 2


@pytest.mark.parametrize("session", [Slow(token=8), Gone()], ids=["overtaken", "broken"])
def test_a_lock_that_is_lost_is_told_to_each(session: Slow) -> None:
    assert [type(error) for error in ask_together(session, 4)] == [LockLost] * 4
    assert session.asked == 4


def test_a_lock_is_let_go_after_who_asks_of_it_and_nobody_has_it_then(store: ServerAddress) -> None:
    engine = create_store_engine(store, role=None, pool_size=2)
    ended = threading.Event()
    try:
        with fenced_lock(engine, "writer", wait_s=0) as fence:
            fence.require()
            with fence._turn:
                ending = threading.Thread(target=lambda: (fence.end(), ended.set()))
                ending.start()
                assert not ended.wait(0.2), "somebody asks just now"
            assert ended.wait(5)
        # Its session is another's by now: what that answers says nothing of the lock.
        with pytest.raises(LockLost):
            fence.require()
    finally:
        engine.dispose()
