"""Directories and databases that exist for one block only, on real servers."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from connectors.store.address import ServerAddress
from connectors.store.server import stop_server


@contextmanager
def server_directory() -> Iterator[Path]:
    """A directory for an embedded server, which is stopped and removed afterwards.

    Not under pytest's own: each pytest that starts closes that one to the user that the server runs as.
    """
    directory = Path(tempfile.mkdtemp(prefix="crm-intake-test-"))
    try:
        yield directory
    finally:
        stop_server(directory)
        shutil.rmtree(directory)


@contextmanager
def fresh_database(address: ServerAddress, *, template: str = "template0") -> Iterator[ServerAddress]:
    """A database of its own on that server, a copy of `template` (whose sessions are ended first), dropped afterwards."""
    fresh = address.with_database(f"crm_intake_test_{os.getpid()}_{secrets.token_hex(4)}")
    with psycopg.connect(address.with_database("postgres").uri_adbc, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [template])
        is_durable = conn.execute("SELECT current_setting('fsync')::bool").fetchone() == (True,)
    # Copying files wants two checkpoints: the quicker way only where nothing is synced.
    strategy = "WAL_LOG" if is_durable else "FILE_COPY"
    _run(address, f"CREATE DATABASE {{}} TEMPLATE {{}} STRATEGY {strategy}", fresh.database, template)
    try:
        yield fresh
    finally:
        drop_database(fresh)


def drop_database(address: ServerAddress) -> None:
    _run(address, "DROP DATABASE IF EXISTS {} WITH (FORCE)", address.database)


def _run(address: ServerAddress, statement: str, *names: str) -> None:
    with psycopg.connect(address.with_database("postgres").uri_adbc, autocommit=True) as conn:
        conn.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))
