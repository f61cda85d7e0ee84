"""Named advisory locks: one run at a time does what the name says, over all processes on all machines.

They belong to the session, so a pooler in front of the server must not share sessions between clients. A holder that
slept while the server let go of its session would go on beside the next one: what must not happen has a fence as well.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text

from schemas.errors import StoreUnavailable

_POLL_S = 0.05


@contextmanager
def advisory_lock(conn: Connection, name: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Holds the lock `name` of the connection's database, through commits and rollbacks, until the block ends.

    Waits at most `wait_s` seconds, then raises StoreUnavailable (sqlstate 55P03). The same connection may take
    it again inside. Leaves a connection outside a transaction as it found it.
    """
    key = lock_key(name)
    deadline = time.monotonic() + wait_s
    while not _taken(conn, key):
        if time.monotonic() >= deadline:
            raise StoreUnavailable(f"Lock '{name}' is held by another run; waited {wait_s:g} s.", sqlstate="55P03")
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        _release(conn, key)


def try_locks(conn: Connection, names: Sequence[str]) -> list[str]:
    """Takes those of the locks that are free, until the connection is closed; returns their names, in the order given."""
    statement = text(
        "select k.name from unnest(cast(:names as text[]), cast(:keys as bigint[])) with ordinality as k (name, key, n)"
        " where pg_try_advisory_lock(k.key) order by k.n"
    )
    return list(conn.execute(statement, {"names": list(names), "keys": [lock_key(n) for n in names]}).scalars())


def release_all(conn: Connection) -> None:
    """Lets go of every advisory lock of the connection."""
    conn.execute(text("select pg_advisory_unlock_all()"))


def lock_key(name: str) -> int:
    """The 64-bit key PostgreSQL knows the lock by, as in pg_locks (classid, objid)."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def _taken(conn: Connection, key: int) -> bool:
    was_in_transaction = conn.in_transaction()
    answer = bool(conn.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one())
    if not was_in_transaction:
        conn.commit()
    return answer


def _release(conn: Connection, key: int) -> None:
    # Below SQLAlchemy, because its own transaction may be failed or closed here, and ends elsewhere.
    driver = None if conn.closed or conn.invalidated else conn.connection.driver_connection
    if not isinstance(driver, psycopg.Connection) or driver.closed:
        return  # a dead session holds no lock any more
    with suppress(psycopg.OperationalError):
        if driver.info.transaction_status == TransactionStatus.INERROR:
            driver.rollback()
        was_idle = driver.info.transaction_status == TransactionStatus.IDLE
        driver.execute("SELECT pg_advisory_unlock(%s)", (key,))
        if was_idle:
            driver.commit()
