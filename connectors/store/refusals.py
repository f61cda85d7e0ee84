"""What the drivers raise, told again without a person's data: type, sqlstate, constraint, table and column names only.

A unique violation prints the colliding value in its DETAIL, a CHECK failure the whole row, a bad cast the text itself;
SQLAlchemy's `hide_parameters` hides none of these. So no message of a driver ever leaves the store.
"""

from types import TracebackType

import adbc_driver_manager
import psycopg
from sqlalchemy import exc

from schemas.errors import StoreError, StoreUnavailable

# Class 08: connection exceptions; 57P0x: shutdown, crash, starting up; 53300: too many connections.
# insufficient_privilege (https://www.postgresql.org/docs/current/errcodes-appendix.html)
INSUFFICIENT_PRIVILEGE = "42501"
_AWAY = ("08", "57P01", "57P02", "57P03", "53300")
# Serialisation failure, deadlock, lock not available: the same statement may pass when tried again.
_PASSING = ("40001", "40P01", "55P03")

# What libpq says when a connection cannot be made: phrase, our words, whether trying again may help.
_CONNECT_REASONS = (
    ("password authentication failed", "the server refused the password", False),
    ("no pg_hba.conf entry", "the server's pg_hba.conf does not admit this login", False),
    ("Peer authentication failed", "the server does not admit this operating-system user", False),
    ("permission denied to set role", "the login may not act as the role asked for", False),
    ("could not access file", "the server refuses the session, for a library that it is to load is missing", False),
    ("does not exist", "the database or the role does not exist there", False),
    ("Name or service not known", "the host name is not known", True),
    ("Connection refused", "nothing listens at the address", True),
    ("No such file or directory", "nothing listens at the socket", True),
    ("timeout expired", "the server did not answer in time", True),
    ("starting up", "the server is starting up", True),
    ("shutting down", "the server is shutting down", True),
    ("too many clients", "the server has no connection left", True),
    ("SSL", "the encrypted connection could not be made", False),
)


def translated(error: BaseException, *, is_disconnect: bool = False) -> StoreError:
    """The error of ours for one that a driver or SQLAlchemy raised; `transient` where the same call may succeed later."""
    cause = getattr(error, "orig", None) or error
    if isinstance(error, exc.DBAPIError):
        is_disconnect = is_disconnect or error.connection_invalidated
    if isinstance(cause, exc.TimeoutError):
        return StoreUnavailable("No connection of the pool became free in time.")
    sqlstate = getattr(cause, "sqlstate", None) or None
    if sqlstate is None and isinstance(cause, (psycopg.OperationalError, adbc_driver_manager.OperationalError)):
        return _unconnected(str(cause))
    constraint, place = _names(cause)
    message = f"The store refused a statement: {type(cause).__name__}{place}."
    if is_disconnect or (sqlstate or "").startswith(_AWAY):
        return StoreUnavailable(message, sqlstate=sqlstate, constraint=constraint)
    refused = StoreError(message, sqlstate=sqlstate, constraint=constraint)
    refused.transient = sqlstate in _PASSING
    return refused


def _names(cause: BaseException) -> tuple[str | None, str]:
    """Constraint name, and ' on table T, column C' as far as the server named them."""
    if not isinstance(cause, psycopg.Error):
        return None, ""
    diag = cause.diag
    place = f" on table {diag.table_name}" if diag.table_name else ""
    place += f", column {diag.column_name}" if diag.column_name else ""
    return diag.constraint_name, place


def _unconnected(said: str) -> StoreError:
    for phrase, reason, is_passing in _CONNECT_REASONS:
        if phrase in said:
            message = f"The store cannot be reached: {reason}."
            return StoreUnavailable(message) if is_passing else StoreError(message)
    return StoreUnavailable("The connection to the store failed or was lost.")


def emptied(error: BaseException | None) -> None:
    """Takes the message and the server's details out of a psycopg error that someone else will chain."""
    if isinstance(error, psycopg.Error):
        error.args = (f"sqlstate {error.sqlstate or 'unknown'}",)
        # The server's answer with all its fields, and the connection's description with the password.
        error._info = error._pgconn = None


class store_errors:
    """Context manager: whatever a driver or SQLAlchemy raises inside leaves as StoreError or StoreUnavailable.

    The new error has neither cause nor context, so no traceback or log can print the old one.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not isinstance(error, (exc.DBAPIError, exc.TimeoutError, psycopg.Error, adbc_driver_manager.Error)):
            return
        refused = translated(error)
        try:
            raise refused from None
        finally:
            # `from None` only hides the context from printing; loggers that walk the chain would still find it.
            refused.__context__ = None
