"""Locks with a fence: each holder has a token higher than the one before, and whoever was overtaken is told.

Two questions are asked of a fence, for two kinds of harm. `require` before something is sent: does this holder's session
still live, and with it the lock? `hold` within a transaction: is the token still the highest, and let it stay so until
the commit? A new holder waits for transactions that hold the old token, so nothing of an old one commits after it began.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from sqlalchemy import BigInteger, Column, Connection, Engine, Table, Text, text

from connectors.store.locks import advisory_lock
from connectors.store.metadata import METADATA
from schemas.errors import LockLost

LOCK_FENCE = Table(
    "lock_fence",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("token", BigInteger, nullable=False),
)

_NEXT = text(
    "insert into intake.lock_fence as old (name, token) values (:name, 1)"
    " on conflict (name) do update set token = old.token + 1 returning token"
)
_HOLD = text("select token from intake.lock_fence where name = :name for share")


@dataclass(eq=False)
class Fence:
    """The right that a lock gives, as long as it lasts. Thread-safe."""

    name: str
    token: int
    session: psycopg.Connection
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _asked_at: float = field(default=-math.inf, repr=False)
    _is_over: bool = field(default=False, repr=False)

    def require(self) -> None:
        """LockLost unless the lock's own session answers, and so holds the lock, just now.

        Of threads that wait for their turn one asks for all: what was asked after they came answers them, too.
        """
        came_at = time.monotonic()
        with self._turn:
            if self._is_over:
                raise self._lost()
            if self._asked_at > came_at:
                return
            asked_at = time.monotonic()
            self._ask()
            self._asked_at = asked_at

    def end(self) -> None:
        """The lock is about to be let go: whoever asks just now is waited for, and who asks later has it no more."""
        with self._turn:
            self._is_over = True

    def _ask(self) -> None:
        try:
            found = self.session.execute("select token from intake.lock_fence where name = %s", (self.name,)).fetchone()
        except psycopg.Error:
            raise self._lost() from None
        if found != (self.token,):
            raise self._lost()

    def hold(self, conn: Connection) -> None:
        """LockLost where another holder has come; else none comes before the transaction of `conn` has ended."""
        if conn.execute(_HOLD, {"name": self.name}).scalar() != self.token:
            raise self._lost()

    def _lost(self) -> LockLost:
        return LockLost(
            f"Lock '{self.name}' was lost (token {self.token}): this process slept, or its connection broke, and another "
            "may hold it. Nothing more is sent or kept; the step begins anew.",
            sqlstate="55000",
        )


@contextmanager
def fenced_lock(engine: Engine, name: str, *, wait_s: float) -> Iterator[Fence]:
    """Holds the lock `name` on a connection of its own, with the next token; waits as `advisory_lock` does."""
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn,
        advisory_lock(conn, name, wait_s=wait_s),
    ):
        token = int(conn.execute(_NEXT, {"name": name}).scalar_one())
        conn.commit()
        driver = _driver(conn)
        fence = Fence(name, token, driver)
        try:
            yield fence
        finally:
            fence.end()
            if driver.broken:
                conn.invalidate()


def _driver(conn: Connection) -> psycopg.Connection:
    driver = conn.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("The store is reached by psycopg.")
    return driver
