"""The embedded server: one for all processes, durable, closed to others, and back after whatever killed it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import adbc_driver_postgresql.dbapi
import psycopg
import pytest
import sqlalchemy

from connectors.store import cluster
from connectors.store.server import ServerAddress, ensure_server, is_running, logging_faults, stop_server
from schemas.errors import ConfigurationError
from tests.throwaway import server_directory

MARKER = "marker.person@example.org"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """Where an initdb was killed half-way before."""
    with server_directory() as directory:
        (directory / "pgdata.new").mkdir()
        (directory / "pgdata.new" / "PG_VERSION").write_text("18\n")
        yield directory


@pytest.fixture
def unused() -> Iterator[Path]:
    """A directory that no server was in yet."""
    with server_directory() as directory:
        yield directory


@pytest.fixture
def server(directory: Path) -> ServerAddress:
    return ensure_server(directory)


def setting(address: ServerAddress, name: str) -> str:
    return scalar(address, f"SELECT current_setting('{name}')")


def scalar(address: ServerAddress, statement: str) -> str:
    with psycopg.connect(address.uri_adbc) as conn:
        return str((conn.execute(statement).fetchone() or ("no row",))[0])


def postmaster_pid(directory: Path) -> int:
    return int((directory / "pgdata" / "postmaster.pid").read_text().splitlines()[0])


def test_several_processes_at_once_get_the_same_server(unused: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from connectors.store.server import ensure_server;"
        "print(ensure_server(Path(sys.argv[1]), fast_for_tests=True).uri_adbc)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(unused)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in started]
    assert [error for _, error in answers] == ["", "", ""]
    assert len({uri for uri, _ in answers}) == 1
    assert is_running(unused)


def test_interrupted_initdb_is_made_again(server: ServerAddress, directory: Path) -> None:
    assert scalar(server, "SELECT 1") == "1"
    assert not (directory / "pgdata.new").exists()


def test_threads_at_once_get_the_same_server(directory: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        addresses = set(pool.map(ensure_server, [directory] * 4))
    assert len(addresses) == 1


def test_both_databases_are_there_in_utf8(server: ServerAddress) -> None:
    for address in (server, server.dagster):
        assert scalar(address, "SELECT current_database()") == address.database
        assert setting(address, "server_encoding") == "UTF8"
    assert (server.database, server.dagster.database) == ("intake", "dagster")


def test_every_driver_connects_by_its_own_spelling(server: ServerAddress) -> None:
    for url in (server.url_psycopg, server.url_psycopg2):
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as conn:
            assert conn.execute(sqlalchemy.text("SELECT current_database()")).scalar_one() == "intake"
        engine.dispose()
    with adbc_driver_postgresql.dbapi.connect(server.uri_adbc) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == ("intake",)


def test_server_is_durable_unless_told_otherwise(server: ServerAddress, store_address: ServerAddress) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    assert [setting(server, name) for name in names] == ["on", "on", "on"]
    assert [setting(store_address, name) for name in names] == ["off", "off", "off"]


def test_times_are_utc(server: ServerAddress) -> None:
    assert setting(server, "timezone") == "UTC"


def test_only_the_operating_systems_user_may_connect(server: ServerAddress, directory: Path) -> None:
    methods = scalar(server, "SELECT array_agg(type || ' ' || auth_method) FROM pg_hba_file_rules WHERE error IS NULL")
    assert methods == "['local peer']"
    assert setting(server, "listen_addresses") == ""
    assert (directory / "pgdata").stat().st_mode & 0o077 == 0


def test_server_log_holds_no_value_of_a_refused_statement(server: ServerAddress, directory: Path) -> None:
    with psycopg.connect(server.uri_adbc, autocommit=True) as conn:
        conn.execute("CREATE TEMP TABLE people (email text UNIQUE)")
        conn.execute("INSERT INTO people VALUES (%s)", (MARKER,))
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO people VALUES (%s)", (MARKER,))
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            conn.execute("SELECT %s::text::int", (MARKER,))
    logs = [path.read_text() for path in (directory / "pgdata" / "log").iterdir()]
    assert any("ready to accept connections" in log for log in logs)
    assert not any(MARKER in log for log in logs)
    assert logging_faults(server) == []


def test_database_survives_stop_and_start(server: ServerAddress, directory: Path) -> None:
    with psycopg.connect(server.uri_adbc) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
    stop_server(directory)
    stop_server(directory)
    assert not is_running(directory)
    assert scalar(ensure_server(directory), "SELECT n FROM kept") == "7"


def test_committed_rows_survive_a_killed_server(server: ServerAddress, directory: Path) -> None:
    with psycopg.connect(server.uri_adbc) as conn:
        conn.execute("CREATE TABLE survived AS SELECT 8 AS n")
    pid = postmaster_pid(directory)
    os.kill(pid, signal.SIGKILL)
    assert scalar(ensure_server(directory), "SELECT n FROM survived") == "8"
    assert postmaster_pid(directory) != pid


def test_pid_that_another_process_got_after_a_restart_is_no_server(server: ServerAddress, directory: Path) -> None:
    pid_file = directory / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    stop_server(directory)
    owner = pid_file.parent.stat()
    user = owner.st_uid if os.geteuid() == 0 else None
    other = subprocess.Popen(["sleep", "60"], user=user)
    try:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        assert not is_running(directory)
        assert scalar(ensure_server(directory), "SELECT 1") == "1"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_path_too_long_for_a_socket_works_all_the_same(unused: Path) -> None:
    directory = unused / ("long" * 20) / "store"
    address = ensure_server(directory, fast_for_tests=True)
    try:
        assert scalar(address, "SELECT 1") == "1"
        socket_dir = Path(str(address.url.query["host"]))
        assert socket_dir.stat().st_mode & 0o077 == 0
        assert socket_dir.stat().st_uid == (directory / "pgdata").stat().st_uid
    finally:
        stop_server(directory)


def test_running_server_is_found_again_and_not_started_anew(server: ServerAddress, directory: Path) -> None:
    pid = postmaster_pid(directory)
    assert ensure_server(directory) == server
    assert postmaster_pid(directory) == pid


def test_where_a_directory_cannot_be_made_it_is_said_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "SUPERUSER", "pg_nobody")
    with pytest.raises(ConfigurationError, match=r"It said: .*cannot begin with \"pg_\""):
        ensure_server(tmp_path / "postgres", fast_for_tests=True)
