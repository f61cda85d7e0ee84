"""Which server the store is on: one of our own under a directory, or the organisation's by URL.

Either way a ServerAddress comes back, and the databases it names are there. Tables and roles are made by migrate.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fasteners
import psycopg
from psycopg import sql
from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from connectors.store import cluster
from connectors.store.address import ServerAddress
from connectors.store.cluster import Cluster
from connectors.store.refusals import store_errors
from schemas.errors import ConfigurationError, StoreUnavailable

__all__ = [
    "QUIET_LOG",
    "ServerAddress",
    "ensure_database",
    "ensure_server",
    "external_server",
    "is_running",
    "logging_faults",
    "stop_server",
]

_OLDEST = 150000
_LOCK_S = 180
_DYING_S = 10
# A lock of the operating system is the process's: threads of one process need one of their own.
_threads = threading.Lock()

# PostgreSQL setting, the values that keep people out of the server's log: an error's own words may quote a value.
QUIET_LOG = {
    "log_error_verbosity": ("terse",),
    "log_min_error_statement": ("log", "fatal", "panic"),
    "log_min_messages": ("log", "fatal", "panic"),
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
}


def ensure_server(directory: Path, *, fast_for_tests: bool = False) -> ServerAddress:
    """The embedded server under `directory`, started if need be, with the databases `intake` and `dagster`.

    Safe to call from several processes and threads at once; all get the same server, and none stops it by ending.
    A server that outlives its machine's restart only as a stale `postmaster.pid` is started afresh.
    `fast_for_tests` gives up durability, and counts only for the call that starts the server.
    """
    ours = Cluster(directory.expanduser().resolve())
    ours.directory.mkdir(parents=True, exist_ok=True)
    with _alone(ours):
        deadline = time.monotonic() + _DYING_S
        while True:
            socket_dir = cluster.socket_dir_of_running(ours) or cluster.start(ours, is_durable=not fast_for_tests)
            try:
                return _with_databases(_embedded_address(socket_dir))
            except StoreUnavailable:
                # A server that is just being killed or stopped still looks alive for a moment.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def stop_server(directory: Path) -> None:
    """Stops the embedded server under `directory`; open transactions are rolled back. Nothing where none runs."""
    ours = Cluster(directory.expanduser().resolve())
    if ours.data.exists():
        with _alone(ours):
            cluster.stop(ours)


def is_running(directory: Path) -> bool:
    """Whether the embedded server under `directory` runs, without starting it."""
    return cluster.socket_dir_of_running(Cluster(directory.expanduser().resolve())) is not None


def external_server(url: str, *, dagster_database: str = "dagster") -> ServerAddress:
    """The organisation's server and database at `url`, PostgreSQL 15 or newer, in UTF-8.

    Makes the database for Dagster beside it where that is permitted. ConfigurationError says what to mend,
    StoreUnavailable that nothing answers.
    """
    address = ServerAddress(_parsed(url), dagster_database)
    with store_errors(), psycopg.connect(address.uri_adbc, connect_timeout=10) as conn:
        version = conn.info.server_version
        encoding = conn.info.parameter_status("server_encoding")
    if version < _OLDEST:
        raise ConfigurationError(f"The server is PostgreSQL {version // 10000}; the store needs 15 or newer.")
    if encoding != "UTF8":
        raise ConfigurationError(f"Database '{address.database}' is in {encoding}; make it with ENCODING 'UTF8'.")
    ensure_database(address, dagster_database)
    return address


def require_dagster(address: ServerAddress) -> None:
    """ConfigurationError where the login may not use Dagster's database, as a person's may not."""
    may = "SELECT has_database_privilege(oid, 'connect') FROM pg_database WHERE datname = %s"
    with store_errors(), psycopg.connect(address.uri_adbc, connect_timeout=10) as conn:
        allowed = conn.execute(may, (address.dagster_database,)).fetchone()
    if allowed == (False,):
        raise ConfigurationError(
            f"This login may not use database '{address.dagster_database}', in which Dagster keeps its runs: start the run"
            " where the workers log in, or from Dagster's pages. Nothing was done."
        )


def logging_faults(address: ServerAddress) -> list[str]:
    """Settings by which the server's own log would hold people's data, each with the value to give it."""
    with store_errors(), psycopg.connect(address.uri_adbc, connect_timeout=10) as conn:
        found = conn.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(QUIET_LOG),)
        ).fetchall()
    return [
        f"{name} = {value}: set it to {QUIET_LOG[name][0]}"
        for name, value in sorted(found)
        if value not in QUIET_LOG[name]
    ]


@contextmanager
def _alone(ours: Cluster) -> Iterator[None]:
    lock = fasteners.InterProcessLock(ours.directory / "server.lock")
    with _threads:
        if not lock.acquire(timeout=_LOCK_S):
            raise StoreUnavailable(f"Another process has held {ours.directory}/server.lock for {_LOCK_S} s.")
        try:
            yield
        finally:
            lock.release()


def _embedded_address(socket_dir: Path) -> ServerAddress:
    query = {"host": str(socket_dir), "port": str(cluster.PORT)}
    return ServerAddress(URL.create("postgresql", username=cluster.SUPERUSER, database="intake", query=query))


def _with_databases(address: ServerAddress) -> ServerAddress:
    for database in (address, address.dagster):
        ensure_database(address.with_database("postgres"), database.database)
    return address


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        # No cause: it quotes the URL, and so the password.
        raise ConfigurationError(
            "DATABASE_URL cannot be read; write postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    if parsed.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigurationError(f"DATABASE_URL is for {parsed.drivername}; the store is PostgreSQL only.")
    if not parsed.database:
        raise ConfigurationError("DATABASE_URL names no database; write postgresql://USER:PASSWORD@HOST/DATABASE.")
    if any(not isinstance(value, str) for value in parsed.query.values()):
        raise ConfigurationError("DATABASE_URL gives an option twice; give one host and each option once.")
    return parsed.set(drivername="postgresql")


def ensure_database(address: ServerAddress, name: str) -> None:
    """Makes the database `name` on the server of `address`, unless it is there.

    ConfigurationError says what to do where the login may not.
    """
    refused = False
    with store_errors(), psycopg.connect(address.uri_adbc, autocommit=True, connect_timeout=10) as conn:
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return
        create = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
        try:
            conn.execute(create)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another process was quicker
        except psycopg.errors.InsufficientPrivilege:
            refused = True
    if refused:
        raise ConfigurationError(
            f"The login may not create database '{name}': have it made (CREATE DATABASE {name} OWNER <login>), "
            "or grant the login CREATEDB."
        )
