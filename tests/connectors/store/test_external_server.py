"""The organisation's own server: what is checked, what is made, and what a refusal tells."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from connectors.store.address import ServerAddress, session_options
from connectors.store.migrate import current_revision, upgrade
from connectors.store.server import external_server
from schemas.errors import ConfigurationError, StoreError, StoreUnavailable
from tests.throwaway import drop_database, fresh_database


@pytest.fixture
def plain_login(store: ServerAddress) -> Iterator[ServerAddress]:
    """The module's database, logged in to by a role that may make nothing."""
    with psycopg.connect(store.uri_adbc, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS plain_login")
        conn.execute("CREATE ROLE plain_login LOGIN")
        yield ServerAddress(store.url.set(username="plain_login"), "dagster_of_plain")
        conn.execute("DROP ROLE plain_login")


def test_dagster_database_is_made_beside_the_given_one(each_store: ServerAddress) -> None:
    name = f"{each_store.database}_dagster"
    address = external_server(each_store.uri_adbc, dagster_database=name)
    try:
        assert external_server(each_store.url_psycopg2, dagster_database=name) == address
        with psycopg.connect(address.dagster.uri_adbc) as conn:
            assert conn.info.dbname == name
    finally:
        drop_database(address.dagster)


def test_login_that_may_not_make_databases_is_told_what_to_ask_for(plain_login: ServerAddress) -> None:
    with pytest.raises(ConfigurationError, match="CREATE DATABASE dagster_of_plain"):
        external_server(plain_login.uri_adbc, dagster_database="dagster_of_plain")


def test_login_that_may_not_migrate_is_told_what_to_ask_for(store: ServerAddress, plain_login: ServerAddress) -> None:
    with fresh_database(store) as empty, pytest.raises(ConfigurationError, match="CREATE ROLE intake_pipeline NOLOGIN"):
        upgrade(plain_login.with_database(empty.database))


def test_login_that_does_not_own_an_older_store_is_told_who_is_to_bring_it_on(
    store: ServerAddress, plain_login: ServerAddress
) -> None:
    with fresh_database(store) as older:
        upgrade(older, revision="0000")
        with psycopg.connect(older.uri_adbc) as conn:
            conn.execute("GRANT intake_pipeline TO plain_login")
        try:
            with pytest.raises(ConfigurationError, match=r"layout 0000 .* `crm-intake upgrade` as the login that owns"):
                upgrade(plain_login.with_database(older.database))
        finally:
            with psycopg.connect(older.uri_adbc) as conn:
                conn.execute("REVOKE intake_pipeline FROM plain_login")
        assert current_revision(older) == "0000"


def test_migration_that_fails_half_way_leaves_nothing(store: ServerAddress, plain_login: ServerAddress) -> None:
    with fresh_database(store) as empty:
        with psycopg.connect(empty.uri_adbc) as conn:
            conn.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO plain_login").format(sql.Identifier(empty.database)))
        with pytest.raises(ConfigurationError, match="GRANT intake_pipeline"):
            upgrade(plain_login.with_database(empty.database))
        with psycopg.connect(empty.uri_adbc) as conn:
            assert conn.execute("SELECT to_regnamespace('intake'), to_regnamespace('staging')").fetchone() == (
                None,
                None,
            )


def test_missing_database_is_not_a_matter_of_waiting(each_store: ServerAddress) -> None:
    with pytest.raises(StoreError, match="database or the role does not exist") as raised:
        external_server(each_store.with_database("no_such_database").uri_adbc)
    assert not raised.value.transient


def test_nothing_listening_is_transient() -> None:
    with pytest.raises(StoreUnavailable, match="nothing listens"):
        external_server("postgresql://postgres:secret@127.0.0.1:1/intake")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:s3cret@host:port/db",
        "mysql://user:s3cret@host/db",
        "postgresql://user:s3cret@host",
        "postgresql://user:s3cret@/db?host=a&host=b",
        "s3cret",
    ],
)
def test_unusable_url_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        external_server(url)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_address_shows_no_password_and_keeps_every_option() -> None:
    address = ServerAddress(make_url("postgres://us%40er:p%2Fw@[::1]:6432/da%20ta?sslmode=require"))
    assert "p/w" not in repr(address) and "p%2Fw" not in repr(address)
    assert address.uri_adbc == "postgresql://us%40er:p%2Fw@[::1]:6432/da%20ta?sslmode=require"
    assert address.url_psycopg.startswith("postgresql+psycopg://") and "sslmode=require" in address.url_psycopg
    assert address.dagster.url_psycopg2.partition("?")[0].endswith("/dagster")


def test_role_is_added_to_the_options_given() -> None:
    address = ServerAddress(make_url("postgresql://u@h/d?options=-c%20statement_timeout%3D5s"))
    assert address.acting_as("intake_pipeline").url.query["options"] == (
        f"-c statement_timeout=5s {session_options('intake_pipeline')}"
    )
    with pytest.raises(ConfigurationError):
        address.acting_as("x -c fsync=off")
