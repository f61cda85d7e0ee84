"""The engine: who it acts as, in which time, and that none of its errors carries a value."""

import logging
import traceback
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, exc, text
from sqlalchemy.engine import make_url

from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine, store_errors
from schemas.errors import StoreError, StoreUnavailable

MARKER = "marker.person@example.org"


@pytest.fixture(scope="module")
def engine(each_store: ServerAddress) -> Iterator[Engine]:
    engine = create_store_engine(each_store, role="intake_pipeline", pool_size=2)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE staging.person (email text UNIQUE, age int CHECK (age > 0))"))
        conn.execute(text("INSERT INTO staging.person VALUES (:email, 1)"), {"email": MARKER})
    yield engine
    engine.dispose()


REFUSED = {
    "INSERT INTO staging.person VALUES (:email, 2)": ("23505", "person_email_key"),
    "INSERT INTO staging.person VALUES ('x' || :email, -2)": ("23514", "person_age_check"),
    "SELECT CAST(CAST(:email AS text) AS int)": ("22P02", None),
    "SELECT CAST(:email AS text) FROM staging.absent": ("42P01", None),
}


def told(error: BaseException | None) -> str:
    """Everything that a logger could print of an error and of all the errors behind it."""
    if error is None:
        return ""
    own = [repr(error), str(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
    diag = getattr(error, "diag", None)
    details = [str(getattr(diag, name)) for name in ("message_primary", "message_detail", "context")] if diag else []
    return "\n".join([*own, *details, told(error.__cause__), told(error.__context__)])


def terminate(address: ServerAddress, pid: int) -> None:
    with psycopg.connect(address.uri_adbc) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_sessions_act_as_the_role_and_in_utc(engine: Engine) -> None:
    with engine.connect() as conn:
        row = conn.execute(text("SELECT current_user, current_setting('timezone'), now()")).one()
    assert row[:2] == ("intake_pipeline", "UTC")
    assert row[2].utcoffset().total_seconds() == 0


@pytest.mark.parametrize("statement", REFUSED)
def test_refusal_carries_sqlstate_and_constraint_and_no_value(
    engine: Engine, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreError) as raised, engine.begin() as conn:
        conn.execute(text(statement), {"email": MARKER})
    assert (raised.value.sqlstate, raised.value.constraint) == REFUSED[statement]
    assert not raised.value.transient
    assert MARKER not in told(raised.value) + caplog.text


@pytest.mark.parametrize("statement", REFUSED)
def test_refusal_of_the_bare_driver_loses_its_cause_altogether(each_store: ServerAddress, statement: str) -> None:
    by_position = statement.replace(":email", "%s")
    with pytest.raises(StoreError) as raised, store_errors(), psycopg.connect(each_store.uri_adbc) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS staging.person (email text UNIQUE, age int CHECK (age > 0))")
        conn.execute("INSERT INTO staging.person VALUES (%s, 1) ON CONFLICT DO NOTHING", (MARKER,))
        conn.execute(by_position, (MARKER,))
    assert (raised.value.sqlstate, raised.value.constraint) == REFUSED[statement]
    assert raised.value.__cause__ is None and raised.value.__context__ is None
    assert MARKER not in told(raised.value)


def test_errors_of_many_rows_and_of_commit_carry_no_value(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE staging.late (email text UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
    with pytest.raises(StoreError) as raised, engine.begin() as conn:
        conn.execute(text("INSERT INTO staging.late VALUES (:email)"), [{"email": MARKER}, {"email": MARKER}])
    assert raised.value.sqlstate == "23505"
    assert MARKER not in told(raised.value)


def test_refusal_names_table_and_column(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE staging.strict (email text NOT NULL)"))
    with pytest.raises(StoreError, match="NotNullViolation on table strict, column email"), engine.begin() as conn:
        conn.execute(text("INSERT INTO staging.strict VALUES (NULL)"))


def test_lost_connection_is_transient_and_the_next_one_works(engine: Engine, each_store: ServerAddress) -> None:
    with pytest.raises(StoreUnavailable) as raised, engine.connect() as conn:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        terminate(each_store, pid)
        conn.execute(text("SELECT 1"))
    assert raised.value.transient
    with engine.connect() as conn:
        assert conn.execute(text("SELECT 1")).scalar_one() == 1


def test_stale_connection_of_the_pool_is_replaced_unseen(engine: Engine, each_store: ServerAddress) -> None:
    with engine.connect() as conn:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
    terminate(each_store, pid)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid


@pytest.mark.parametrize(("silent_s", "is_asked"), [(60.0, False), (0.0, True)])
def test_the_server_is_asked_whether_a_connection_lives_only_after_a_silence(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, silent_s: float, is_asked: bool
) -> None:
    pings: list[object] = []
    ping = engine.dialect.do_ping
    monkeypatch.setattr(engine.dialect, "do_ping", lambda connection: pings.append(connection) or ping(connection))
    monkeypatch.setattr("connectors.store.engine._SILENT_S", silent_s)
    for _ in range(2):
        with engine.connect() as conn:
            assert conn.execute(text("SELECT 1")).scalar_one() == 1
    assert bool(pings) is is_asked


def test_locked_row_may_be_tried_again(engine: Engine) -> None:
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text("SELECT * FROM staging.person FOR UPDATE"))
        with pytest.raises(StoreError) as raised:
            other.execute(text("SELECT * FROM staging.person FOR UPDATE NOWAIT"))
    assert raised.value.sqlstate == "55P03"
    assert raised.value.transient and not StoreError.transient


def test_nothing_listening_is_unavailable() -> None:
    engine = create_store_engine(ServerAddress(make_url("postgresql://postgres:s3cret@127.0.0.1:1/intake")))
    with pytest.raises(StoreUnavailable, match="nothing listens") as raised:
        engine.connect()
    assert "s3cret" not in told(raised.value)


def test_missing_library_is_not_taken_for_a_missing_server(each_store: ServerAddress) -> None:
    with psycopg.connect(each_store.uri_adbc, autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS without_library")
        conn.execute("CREATE DATABASE without_library TEMPLATE template0")
        conn.execute("ALTER DATABASE without_library SET session_preload_libraries = 'no_such_library'")
    engine = create_store_engine(each_store.with_database("without_library"))
    with pytest.raises(StoreError, match="library that it is to load is missing") as raised:
        engine.connect()
    assert not isinstance(raised.value, StoreUnavailable)


def test_role_that_the_login_may_not_take_is_refused(each_store: ServerAddress) -> None:
    engine = create_store_engine(each_store, role="no_such_role")
    with pytest.raises(StoreError) as raised:
        engine.connect()
    assert not isinstance(raised.value, StoreUnavailable)


def test_exhausted_pool_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="pool"), store_errors():
        raise exc.TimeoutError("QueuePool limit reached")


def test_errors_of_others_pass_unchanged() -> None:
    with pytest.raises(KeyError), store_errors():
        raise KeyError("mine")
