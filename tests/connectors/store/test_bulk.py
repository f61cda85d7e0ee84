"""Staging and reading in bulk: exact types, committed, replaced, and no value in a refusal."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import Engine, column, select, text
from sqlalchemy import table as sql_table

from connectors.store.address import ServerAddress
from connectors.store.bulk import drop_orphans, drop_staged, read_table, stage_table
from connectors.store.engine import create_store_engine
from schemas.errors import StoreError

ROLE = "intake_pipeline"
MARKER = "marker.person@example.org"
AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
ID = uuid.UUID("00000000-0000-4000-8000-00000000000a")

EVERY_TYPE = pa.table(
    {
        "id": pa.array([ID.bytes, None], pa.uuid()),
        "told": pa.array(["Äiti \n\t\"'; -- ,\\N", ""], pa.large_string()),
        "short": pa.array(["a", None], pa.string()),
        "is_sale": pa.array([True, None]),
        "n": pa.array([2**62, None]),
        "small": pa.array([1, -1], pa.int32()),
        "share": pa.array([0.5, None]),
        "seen_at": pa.array([AT, None], pa.timestamp("us", "UTC")),
        "held_on": pa.array([date(2026, 1, 2), None]),
        "sealed": pa.array([b"\x00\xff", None]),
        "tags": pa.array([["a", "b"], []], pa.list_(pa.string())),
        "nothing": pa.nulls(2),
        "coded": pa.array(["x", "y"]).dictionary_encode(),
    }
)
PG_TYPES = {
    "id": "uuid",
    "told": "text",
    "short": "text",
    "is_sale": "boolean",
    "n": "bigint",
    "small": "integer",
    "share": "double precision",
    "seen_at": "timestamp with time zone",
    "held_on": "date",
    "sealed": "bytea",
    "tags": "text[]",
    "nothing": "text",
    "coded": "text",
}


@pytest.fixture(scope="module")
def engine(each_store: ServerAddress) -> Iterator[Engine]:
    engine = create_store_engine(each_store, role=ROLE)
    yield engine
    engine.dispose()


def people(rows: int) -> pd.DataFrame:
    numbers = np.arange(rows)
    return pd.DataFrame(
        {
            "person_id": pd.Series([str(uuid.UUID(int=int(n))) for n in numbers], dtype="str"),
            "address": pd.Series([f"person{n}@example.org" if n % 3 else None for n in numbers], dtype="str"),
            "row_no": numbers,
            "is_payer": numbers % 2 == 0,
            "submitted_from": pd.to_datetime(numbers * 10**9, utc=True).as_unit("us"),
        }
    )


def test_every_type_arrives_as_its_own(each_store: ServerAddress, engine: Engine) -> None:
    name = stage_table(each_store, "every_type", EVERY_TYPE, role=ROLE)
    assert name == "staging.every_type"
    types = text(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 'staging.every_type'::regclass AND attnum > 0 ORDER BY attnum"
    )
    with engine.connect() as conn:
        assert {name: kind for name, kind in conn.execute(types)} == PG_TYPES
        first, second = conn.execute(text(f"SELECT * FROM {name} ORDER BY small DESC")).all()
    assert first._asdict() == {**EVERY_TYPE.slice(0, 1).to_pylist()[0], "id": ID}
    assert (second.told, second.short, second.id, second.seen_at) == ("", None, None, None)


@pytest.mark.parametrize(("rows", "known"), [(999, -1), (1_000, 1_000)])
def test_the_planner_knows_how_many_rows_a_large_table_has(
    each_store: ServerAddress, engine: Engine, rows: int, known: int
) -> None:
    name = stage_table(each_store, "counted", people(rows), role=ROLE)
    with engine.connect() as conn:
        told = conn.execute(text("SELECT reltuples FROM pg_class WHERE oid = cast(:name as regclass)"), {"name": name})
        assert told.scalar_one() == known


@pytest.mark.parametrize("by", ["address", "connection"])
def test_frame_comes_back_as_it_went(each_store: ServerAddress, engine: Engine, by: str) -> None:
    frame = people(500)
    name = stage_table(each_store, "people", frame, role=ROLE)
    query = f"SELECT * FROM {name} ORDER BY row_no"
    with engine.connect() as conn:
        read = read_table(each_store if by == "address" else conn, query)
    pd.testing.assert_frame_equal(read, frame)


@pytest.mark.parametrize("by", ["address", "connection"])
def test_query_takes_parameters_and_keeps_dtypes_without_rows(
    each_store: ServerAddress, engine: Engine, by: str
) -> None:
    stage_table(each_store, "people", EVERY_TYPE, role=ROLE)
    query = (
        "SELECT id, told, n, is_sale, seen_at FROM staging.people WHERE id = :id AND seen_at <= :at AND told <> :told"
    )
    params = {"id": ID, "at": AT, "told": "no"}
    with engine.connect() as conn:
        source = each_store if by == "address" else conn
        found = read_table(source, query, params)
        none = read_table(source, query, {**params, "id": uuid.uuid4()})
    assert found.to_dict("records") == [
        {"id": str(ID), "told": EVERY_TYPE["told"][0].as_py(), "n": 2**62, "is_sale": True, "seen_at": AT}
    ]
    assert len(none) == 0
    assert none.dtypes.equals(found.dtypes)


def test_query_may_be_an_expression(each_store: ServerAddress) -> None:
    stage_table(each_store, "people", people(10), role=ROLE)
    staged = sql_table("people", column("row_no"), schema="staging")
    query = select(staged.c.row_no).where(staged.c.row_no.in_([3, 4, 99])).order_by(staged.c.row_no)
    assert read_table(each_store, query)["row_no"].tolist() == [3, 4]


def test_connection_reads_its_own_uncommitted_rows(each_store: ServerAddress, engine: Engine) -> None:
    name = stage_table(each_store, "people", people(3), role=ROLE)
    with engine.connect() as conn:
        conn.execute(text(f"DELETE FROM {name}"))
        assert len(read_table(conn, f"SELECT * FROM {name}")) == 0
        assert len(read_table(each_store, f"SELECT count(*) AS n FROM {name}")) == 1


def test_staging_again_replaces_and_an_empty_frame_makes_an_empty_table(
    each_store: ServerAddress, engine: Engine
) -> None:
    stage_table(each_store, "twice", people(5), role=ROLE)
    stage_table(each_store, "twice", people(2), role=ROLE)
    assert len(read_table(each_store, "SELECT * FROM staging.twice")) == 2
    stage_table(each_store, "twice", people(0), role=ROLE)
    assert read_table(each_store, "SELECT * FROM staging.twice").dtypes.equals(people(1).dtypes)


def test_staged_table_is_unlogged_and_belongs_to_the_role(each_store: ServerAddress, engine: Engine) -> None:
    stage_table(each_store, "owned", people(1), role=ROLE)
    query = "SELECT relpersistence::text AS p, relowner::regrole::text AS o FROM pg_class WHERE relname = 'owned'"
    assert read_table(each_store, query).to_dict("records") == [{"p": "u", "o": ROLE}]


def test_nul_is_refused_by_column_name_only(each_store: ServerAddress) -> None:
    frame = pd.DataFrame({"told": ["fine"], "address": [f"{MARKER}\0"]})
    with pytest.raises(StoreError, match="column address") as raised:
        stage_table(each_store, "nul", frame, role=ROLE)
    assert MARKER not in str(raised.value)


@pytest.mark.parametrize("name", ["Upper", "x; DROP TABLE y", "", "a" * 64, "staging.x"])
def test_name_that_is_no_plain_name_is_refused(each_store: ServerAddress, name: str) -> None:
    with pytest.raises(StoreError):
        stage_table(each_store, name, people(1), role=ROLE)


def test_column_type_without_a_counterpart_is_refused(each_store: ServerAddress) -> None:
    with pytest.raises(StoreError, match="Column 'd'"):
        stage_table(each_store, "odd", pa.table({"d": pa.array([{"a": 1}])}), role=ROLE)


def test_refused_read_tells_no_value(each_store: ServerAddress) -> None:
    with pytest.raises(StoreError) as raised:
        read_table(each_store, "SELECT CAST(CAST(:address AS text) AS int)", {"address": MARKER})
    assert raised.value.sqlstate == "22P02"
    assert MARKER not in repr(raised.value) and raised.value.__context__ is None


def test_dropping_is_part_of_the_callers_transaction(each_store: ServerAddress, engine: Engine) -> None:
    name = stage_table(each_store, "dropped", people(1), role=ROLE)
    with engine.connect() as conn:
        drop_staged(conn, [name, "staging.never_there"])
        conn.rollback()
        assert conn.execute(text("SELECT to_regclass('staging.dropped')")).scalar() is not None
        drop_staged(conn, [name])
        conn.commit()
        assert conn.execute(text("SELECT to_regclass('staging.dropped')")).scalar() is None


def test_only_staged_tables_can_be_dropped(engine: Engine) -> None:
    with pytest.raises(StoreError), engine.begin() as conn:
        drop_staged(conn, ["intake.batch"])


def test_orphans_are_those_older_than_asked(each_store: ServerAddress, engine: Engine) -> None:
    stage_table(each_store, "orphan", people(1), role=ROLE)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE staging.somebody_elses (n int)"))
        assert drop_orphans(conn, timedelta(hours=1)) == []
        dropped = drop_orphans(conn, timedelta(0))
        assert "staging.orphan" in dropped and "staging.somebody_elses" not in dropped
