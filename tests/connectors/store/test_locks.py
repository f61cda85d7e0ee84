"""Advisory locks: one at a time, through commits and failures, and never left behind."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.locks import advisory_lock, lock_key
from schemas.errors import StoreError, StoreUnavailable


@pytest.fixture(scope="module")
def engine(each_store: ServerAddress) -> Iterator[Engine]:
    engine = create_store_engine(each_store, role="intake_pipeline")
    yield engine
    engine.dispose()


def is_free(engine: Engine, name: str) -> bool:
    try:
        with engine.connect() as conn, advisory_lock(conn, name):
            return True
    except StoreUnavailable:
        return False


def test_second_holder_is_refused_after_its_wait(engine: Engine) -> None:
    with engine.connect() as holder, advisory_lock(holder, "run"), engine.connect() as other:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="'run' is held") as raised, advisory_lock(other, "run", wait_s=0.2):
            pass
        assert time.monotonic() - began >= 0.2
        assert raised.value.transient and raised.value.sqlstate == "55P03"
        assert not other.in_transaction()
    assert is_free(engine, "run")


def test_waiting_holder_gets_it_when_it_becomes_free(engine: Engine) -> None:
    with engine.connect() as holder, engine.connect() as other:
        with advisory_lock(holder, "run"):
            pass
        with advisory_lock(other, "run", wait_s=1):
            assert not is_free(engine, "run")


def test_different_names_do_not_meet(engine: Engine) -> None:
    with engine.connect() as conn, advisory_lock(conn, "one"):
        assert is_free(engine, "two")
    assert lock_key("one") != lock_key("two")


def test_lock_outlives_commits_and_rollbacks_inside(engine: Engine) -> None:
    with engine.connect() as conn, advisory_lock(conn, "run"):
        assert not conn.in_transaction()
        conn.execute(text("SELECT 1"))
        conn.commit()
        conn.execute(text("SELECT 1"))
        conn.rollback()
        assert not is_free(engine, "run")
    assert is_free(engine, "run")


def test_failed_statement_inside_releases_it_and_is_what_is_raised(engine: Engine) -> None:
    with pytest.raises(StoreError) as raised, engine.begin() as conn, advisory_lock(conn, "run"):
        conn.execute(text("SELECT 1/0"))
    assert raised.value.sqlstate == "22012"
    assert is_free(engine, "run")


def test_lost_connection_inside_releases_it(engine: Engine, each_store: ServerAddress) -> None:
    owner = create_store_engine(each_store)
    with pytest.raises(StoreUnavailable), owner.connect() as conn, advisory_lock(conn, "run"):
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    owner.dispose()
    assert is_free(engine, "run")


def test_same_connection_may_take_it_again_inside(engine: Engine) -> None:
    with engine.connect() as conn, advisory_lock(conn, "run"):
        with advisory_lock(conn, "run"):
            pass
        assert not is_free(engine, "run")
    assert is_free(engine, "run")
