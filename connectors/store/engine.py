"""The SQLAlchemy engine of the store: psycopg 3, one role, UTC, and errors that carry no values."""

import orjson
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext

from connectors.store.address import ServerAddress
from connectors.store.refusals import emptied, store_errors, translated
from schemas.errors import StoreError

__all__ = ["create_store_engine", "store_errors"]


def create_store_engine(address: ServerAddress, *, role: str | None = None, pool_size: int = 5) -> Engine:
    """An engine whose sessions act as `role` (None: as who logs in) and in UTC; opens no connection yet.

    Every refusal of the database leaves it as StoreError, a lost or missing connection as StoreUnavailable.
    """
    engine = create_engine(
        address.acting_as(role).url_psycopg,
        hide_parameters=True,
        json_deserializer=orjson.loads,
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"connect_timeout": 10},
    )
    event.listen(engine, "handle_error", _translate, retval=True)
    return engine


def _translate(context: ExceptionContext) -> StoreError | None:
    # A failed ping is how the pool learns that a connection is stale; it replaces it and goes on.
    if context.is_pre_ping or context.sqlalchemy_exception is None:
        return None
    refused = translated(context.sqlalchemy_exception, is_disconnect=context.is_disconnect)
    # SQLAlchemy raises ours `from` the driver's error: what the driver's error knew must be gone by then.
    emptied(context.original_exception)
    return refused
