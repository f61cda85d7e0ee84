"""Whom the CRM is behind of is kept beside the addresses, whatever changes their versions and whoever does."""

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID, uuid4

import psycopg
import pytest

from connectors.store.address import ServerAddress
from connectors.store.migrate import PIPELINE_ROLE

_MOVES = """
select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables where schemaname = 'intake' and relname = 'contact_point'
"""


@pytest.fixture
def conn(store: ServerAddress) -> Iterator[psycopg.Connection]:
    """A transaction as the pipeline, which is taken back."""
    with closing(psycopg.connect(store.uri_adbc)) as conn:
        conn.execute(f"set role {PIPELINE_ROLE}")
        yield conn


def add(conn: psycopg.Connection, *, version: int = 1, acked: int = 0) -> UUID:
    one = uuid4()
    address = f"{one}@example.org"
    conn.execute(
        "insert into intake.contact_point (contact_point_id, address, address_key, is_role_address, version, acked_version)"
        " values (%s, %s, %s, false, %s, %s)",
        [one, address, address, version, acked],
    )
    return one


def dirty(conn: psycopg.Connection) -> set[UUID]:
    return {one for (one,) in conn.execute("select contact_point_id from intake.dirty_address")}


def set_versions(conn: psycopg.Connection, *points: UUID, version: int, acked: int) -> None:
    conn.execute(
        "update intake.contact_point set version = %s, acked_version = %s where contact_point_id = any(%s)",
        [version, acked, list(points)],
    )


def test_an_address_is_dirty_from_its_change_until_it_is_acknowledged(conn: psycopg.Connection) -> None:
    new, settled = add(conn), add(conn, acked=1)
    assert dirty(conn) == {new}
    set_versions(conn, new, settled, version=2, acked=1)
    assert dirty(conn) == {new, settled}
    set_versions(conn, new, version=3, acked=1)
    assert dirty(conn) == {new, settled}, "once more is no second time"
    set_versions(conn, new, version=3, acked=3)
    assert dirty(conn) == {settled}
    conn.execute("delete from intake.contact_point where contact_point_id = %s", [settled])
    assert dirty(conn) == set()


def test_an_address_that_comes_again_is_noted_once(conn: psycopg.Connection) -> None:
    one = add(conn)
    conn.execute(
        "insert into intake.contact_point (contact_point_id, address, address_key, is_role_address)"
        " select contact_point_id, address, address_key, false from intake.contact_point where contact_point_id = %s"
        " on conflict do nothing",
        [one],
    )
    assert dirty(conn) == {one}


def test_a_version_that_changes_touches_no_index_of_the_address(conn: psycopg.Connection) -> None:
    points = [add(conn) for _ in range(5)]
    set_versions(conn, *points, version=2, acked=0)
    set_versions(conn, *points, version=2, acked=2)
    assert conn.execute(_MOVES).fetchone() == (10, 10)


def test_nobody_notes_by_hand(conn: psycopg.Connection) -> None:
    for statement in (
        "insert into intake.dirty_address values (gen_random_uuid())",
        "delete from intake.dirty_address",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
            conn.execute(statement)
