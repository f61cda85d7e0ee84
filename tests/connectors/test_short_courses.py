"""The short-course system, on a real PostgreSQL and on SQLite."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from connectors import short_courses
from connectors.decoders import decode
from connectors.short_courses import ShortCourseRegistrations, ShortCoursesSettings
from connectors.store.address import ServerAddress
from schemas.errors import SourceError, SourceUnavailable
from schemas.mappings import RECEIVED_AT, Mapping
from schemas.records import ReceivedBatch
from tests.feeds import NOW, WINDOW, make_mapping

ROWS = """
create schema register;
create table register.signups (
    id int, email text, price numeric(8,2), starts_on date, paid boolean, changed_at timestamptz, local_at timestamp);
insert into register.signups values
    (1, 'early@example.org', 12.50, '2026-12-01', true,  '2026-11-17 23:59:59+02', '2026-11-17 23:59:59'),
    (3, 'c@example.org',     null,  '2026-12-01', false, '2026-11-20 23:59:59.5+02', '2026-11-20 23:59:59.5'),
    (2, 'b@example.org',     0.00,  null,         null,  '2026-11-18 00:00:00+02', '2026-11-18 00:00:00'),
    (4, 'late@example.org',  1.00,  '2026-12-01', true,  '2026-11-21 00:00:00+02', '2026-11-21 00:00:00');
create function register.emptied() returns int language sql as 'delete from register.signups returning 1';
"""


def table(**changes: Any) -> Mapping:
    shape = {"table": "register.signups", "changed_at": "changed_at", "key": "id", **changes}
    fields = {"email": {"column": "email"}}
    return make_mapping(
        source="short_courses",
        file=None,
        table={name: change for name, change in shape.items() if change is not None},
        key=["id"],
        submitted_at={"column": shape["changed_at"]},
        fields=fields,
        consents=[],
    )


@pytest.fixture(scope="module")
def register(store_address: ServerAddress) -> Iterator[str]:
    name = f"register_{os.getpid()}"
    with psycopg.connect(store_address.uri_adbc, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        url = store_address.with_database(name).url_psycopg
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text(ROWS))
        yield url
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def pull(url: str, mapping: Mapping) -> list[ReceivedBatch]:
    return list(ShortCourseRegistrations(ShortCoursesSettings(url)).iter_batches(mapping, WINDOW, now=NOW))


@pytest.mark.parametrize("changed_at", ["changed_at", "local_at"])
def test_the_rows_changed_in_the_window_and_its_overlap_come_in_order(register: str, changed_at: str) -> None:
    [batch] = pull(register, table(changed_at=changed_at))
    frame = decode(batch.media_type, batch.payload, table())
    assert frame["id"].tolist() == ["2", "3"]
    assert batch.watermark == "2026-11-20T21:59:59.500000+00:00"
    assert frame[RECEIVED_AT].tolist() == ["2026-11-18T21:59:59.999999+00:00", "2026-11-20T21:59:59.999999+00:00"]


def test_many_rows_come_in_several_batches_that_are_the_same_ones_again(
    register: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_courses, "ROWS_A_BATCH", 1)
    first, second = pull(register, table())
    frames = [decode(batch.media_type, batch.payload, table()) for batch in (first, second)]
    assert [frame["id"].tolist() for frame in frames] == [["2"], ["3"]]
    assert (first.watermark or "") < (second.watermark or "") == "2026-11-20T21:59:59.500000+00:00"
    assert [batch.content_hash for batch in pull(register, table())] == [first.content_hash, second.content_hash]


def test_a_row_without_a_time_of_a_change_is_taken_by_when_it_was_submitted(register: str) -> None:
    rows = """
    create table if not exists register.unchanged (id int, email text, submitted_at text, changed_at timestamptz);
    truncate register.unchanged;
    insert into register.unchanged values
        (1, 'a@example.org', '2026-11-01T10:00:00+02:00', null), (2, 'b@example.org', '2026-11-20T10:00:00+02:00', null),
        (3, 'c@example.org', '2026-11-01T10:00:00+02:00', '2026-11-19 10:00+02'), (4, 'd@example.org', null, null)"""
    with sa.create_engine(register, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text(rows))
    mapping = make_mapping(
        source="short_courses",
        file=None,
        table={"table": "register.unchanged", "changed_at": "changed_at", "key": "id"},
        key=["id"],
        submitted_at={"column": "submitted_at"},
        changed_at={"column": "changed_at"},
        fields={"email": {"column": "email"}},
        consents=[],
    )
    [batch] = pull(register, mapping)
    frame = decode(batch.media_type, batch.payload, mapping)
    assert sorted(frame["id"]) == ["2", "3", "4"]
    received = dict(zip(frame["id"], frame[RECEIVED_AT], strict=True))
    assert received["2"] == "2026-11-20T21:59:59.999999+00:00"


UNCHANGED = """
create table register.seldom (id int, email text, submitted_at timestamptz, changed_at timestamptz);
insert into register.seldom values
    (1, 'a@example.org', '2026-11-17 23:59:59+02', null), (2, 'b@example.org', '2026-11-18 00:00+02', null),
    (3, 'c@example.org', '2026-11-20 23:59:59+02', null), (4, 'd@example.org', '2026-11-21 00:00+02', null),
    (5, 'e@example.org', '2026-11-01 10:00+02', '2026-11-19 10:00+02'), (6, 'f@example.org', null, null),
    (7, 'g@example.org', '2026-11-19 10:00+02', '2026-11-21 10:00+02');
"""


@pytest.fixture(scope="module")
def seldom(register: str) -> str:
    with sa.create_engine(register, poolclass=sa.NullPool).begin() as connection:
        connection.execute(sa.text(UNCHANGED))
    return register


def seldom_changed(**shape: Any) -> Mapping:
    mapping = table(**{"table": "register.seldom", **shape}).model_dump(mode="json", exclude_none=True)
    told = {"submitted_at": {"column": "submitted_at"}, "changed_at": {"column": "changed_at"}}
    return Mapping.model_validate({**mapping, **told})


def test_rows_that_never_changed_are_selected_by_when_they_were_submitted(
    seldom: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str | None]] = []
    texts = short_courses._texts

    def listening(*asked: Any) -> Iterator[short_courses.Texts]:
        for titles, columns in texts(*asked):
            read.append(columns[titles.index("id")])
            yield titles, columns

    monkeypatch.setattr(short_courses, "_texts", listening)
    [batch] = pull(seldom, seldom_changed())
    assert sorted(decode(batch.media_type, batch.payload, table())["id"]) == ["2", "3", "5", "6"]
    assert sorted(str(number) for number in read[0]) == ["2", "3", "5", "6"], "more than the window holds was read"


def test_rows_without_a_change_that_a_query_gives_are_kept_whenever_they_were_submitted(seldom: str) -> None:
    query = "select * from register.seldom where changed_at is null and submitted_at < :until"
    [batch] = pull(seldom, seldom_changed(table=None, query=query))
    frame = decode(batch.media_type, batch.payload, table())
    assert sorted(frame["id"]) == ["1", "2", "3"]
    received = dict(zip(frame["id"], frame[RECEIVED_AT], strict=True))
    assert received["1"] == "2026-11-17T21:59:59.999999+00:00"


def test_every_cell_is_text_and_null_is_missing(register: str) -> None:
    [batch] = pull(register, table())
    frame = decode(batch.media_type, batch.payload, table()).drop(columns=RECEIVED_AT)
    assert (frame.dtypes == "str").all()
    assert frame["price"].tolist()[0] == "0.00"
    assert frame["paid"].tolist()[1] == "false"
    assert frame["starts_on"].tolist()[1] == "2026-12-01"
    assert frame[["starts_on", "paid"]].isna().iloc[0].all()
    assert frame["price"].isna().iloc[1]


def test_exactly_the_columns_of_the_query_come(register: str) -> None:
    query = "select id, email, changed_at from register.signups where changed_at >= :since and changed_at < :until"
    [batch] = pull(register, table(table=None, query=query))
    frame = decode(batch.media_type, batch.payload, table())
    assert list(frame.columns) == ["id", "email", "changed_at", RECEIVED_AT]
    assert len(frame) == 2


def test_a_window_without_changes_gives_no_batch(register: str) -> None:
    query = "select id, email, changed_at from register.signups where false and changed_at < :until"
    assert pull(register, table(table=None, query=query)) == []


def test_nothing_can_be_written_through_a_query(register: str) -> None:
    query = "select register.emptied() as id"
    with pytest.raises(SourceError) as error:
        pull(register, table(table=None, query=query))
    assert "25006" in str(error.value)


def test_a_wrong_table_is_an_error_that_names_no_value(register: str) -> None:
    with pytest.raises(SourceError) as error:
        pull(register, table(table="register.gone"))
    assert not error.value.transient
    assert "42P01" in str(error.value)
    assert error.value.__cause__ is None


def test_a_query_without_its_changed_at_is_an_error(register: str) -> None:
    with pytest.raises(SourceError, match="changed_at"):
        pull(register, table(table=None, query="select id, email from register.signups"))


def test_a_database_that_is_away_is_unavailable_and_its_password_is_not_told() -> None:
    url = "postgresql+psycopg://reader:hidden@127.0.0.1:9/courses"
    with pytest.raises(SourceUnavailable) as error:
        pull(url, table())
    assert "hidden" not in str(error.value)
    assert "hidden" not in repr(ShortCoursesSettings(url))


def test_another_database_than_postgresql_is_read_by_local_times(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/courses.db"
    with sa.create_engine(url).begin() as connection:
        moments = sa.Table(
            "signups",
            sa.MetaData(),
            sa.Column("id", sa.Integer),
            sa.Column("email", sa.Text),
            sa.Column("changed_at", sa.DateTime),
        )
        moments.create(connection)
        for number, at in enumerate(
            [datetime.fromisoformat(at) for at in ("2026-11-17T23:00", "2026-11-20T23:30", "2026-11-21")]
        ):
            connection.execute(moments.insert().values(id=number, email="a@example.org", changed_at=at))
    [batch] = pull(url, table(table="signups"))
    assert decode(batch.media_type, batch.payload, table())["id"].tolist() == ["1"]
    assert batch.watermark == datetime(2026, 11, 20, 21, 30, tzinfo=UTC).isoformat()
