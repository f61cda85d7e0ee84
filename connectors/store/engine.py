"""The SQLAlchemy engine of the store: psycopg 3, one role, UTC, and errors that carry no values."""

import select
import time
from typing import Any

import orjson
import psycopg
from sqlalchemy import Engine, create_engine, event, exc
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from connectors.store.address import ServerAddress
from connectors.store.refusals import emptied, store_errors, translated
from schemas.errors import StoreError

__all__ = ["create_store_engine", "store_errors"]

# What stands between may drop a connection that is silent for longer, and tell neither end.
_SILENT_S = 5.0
_USED_AT = "used_at"


def create_store_engine(address: ServerAddress, *, role: str | None = None, pool_size: int = 5) -> Engine:
    """An engine whose sessions act as `role` (None: as who logs in) and in UTC; opens no connection yet.

    Every refusal of the database leaves it as StoreError, a lost or missing connection as StoreUnavailable.
    """
    engine = create_engine(
        address.acting_as(role).url_psycopg,
        hide_parameters=True,
        json_deserializer=orjson.loads,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"connect_timeout": 10},
    )
    event.listen(engine, "handle_error", _translate, retval=True)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _Inspection(engine))
    return engine


class _Inspection:
    """Has the pool replace a stale connection unseen, as `pool_pre_ping` does, and asks the server only where it may be one.

    A run takes a hundred connections from its pool within a second: to ask each time is a sixth of its round trips.
    """

    def __init__(self, engine: Engine) -> None:
        self._dialect = engine.dialect

    def __call__(self, connection: Any, entry: ConnectionPoolEntry, _fairy: Any) -> None:
        """InvalidatePoolError where the server does not answer; a connection just made was never used, and is not asked."""
        used_at = entry.info.get(_USED_AT)
        if used_at is None:
            return
        try:
            if time.monotonic() - used_at > _SILENT_S or _was_told(connection):
                self._dialect.do_ping(connection)
        except psycopg.Error:
            raise exc.InvalidatePoolError from None


def _was_told(connection: psycopg.Connection) -> bool:
    """Whether the server sent anything unasked, as it does when it ends a session."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _note_use(_connection: object, entry: ConnectionPoolEntry) -> None:
    entry.info[_USED_AT] = time.monotonic()


def _translate(context: ExceptionContext) -> StoreError | None:
    if context.sqlalchemy_exception is None:
        return None
    refused = translated(context.sqlalchemy_exception, is_disconnect=context.is_disconnect)
    # SQLAlchemy raises ours `from` the driver's error: what the driver's error knew must be gone by then.
    emptied(context.original_exception)
    return refused
