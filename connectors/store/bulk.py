"""Bulk in and out: Arrow to staging tables and back by ADBC (COPY underneath). What merges them stands elsewhere.

A staged table is committed by ADBC's own connection before the transaction that merges it begins, so a run that dies
leaves it behind; its comment says when it was made, and `drop_orphans` removes what is old.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

import pandas as pd
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from sqlalchemy import Connection, Select, TextClause, event, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from connectors.store.address import ServerAddress
from connectors.store.arrow_columns import columns_with_nul, frame_from_table, table_from_frame
from connectors.store.refusals import store_errors
from schemas.errors import StoreError

STAGING = "staging"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")

# So many rows the planner has to know of: taken for few, two such tables were compared row by row with each other.
_MANY = 1_000

# One statement for all tables. Each bears when it was made, for `drop_orphans`.
_MADE = "DO $$ BEGIN {tables}; END $$"

# Tables that carry our mark, and that who asks may drop.
_ORPHANS = text("""
SELECT relname
FROM pg_class
WHERE relnamespace = to_regnamespace('staging') AND relkind = 'r' AND pg_has_role(current_user, relowner, 'USAGE')
  AND CASE WHEN obj_description(oid, 'pg_class') ~ '^[0-9]{4}-'
           THEN obj_description(oid, 'pg_class')::timestamptz < clock_timestamp() - :age END
ORDER BY relname
""")


def stage_table(address: ServerAddress, name: str, table: pa.Table | pd.DataFrame, *, role: str | None) -> str:
    """Puts the rows into a new unlogged table `staging.name`, commits, and returns that qualified name.

    Replaces a table of that name. Columns get the PostgreSQL type of their Arrow type (see `column_type`).
    StoreError where a column's type has none, or a text column has a NUL character in it (named, never shown).
    """
    return stage_tables(address, {name: table}, role=role)[0]


def stage_tables(
    address: ServerAddress, tables: Mapping[str, pa.Table | pd.DataFrame], *, role: str | None
) -> list[str]:
    """As `stage_table` for several tables over one connection, in one transaction; names in the order given."""
    for name in tables:
        if not _NAME.match(name):
            raise StoreError(f"'{name}' is not a name for a staging table: lower-case letters, digits, _; 63 at most.")
    arrows = {n: _loadable(t if isinstance(t, pa.Table) else table_from_frame(t)) for n, t in tables.items()}
    with store_errors(), _connection(address.acting_as(role).uri_adbc) as conn, conn.cursor() as cursor:
        cursor.execute(_MADE.format(tables="; ".join(_creation(name, arrow) for name, arrow in arrows.items())))
        for name, arrow in arrows.items():
            if arrow.num_rows:
                cursor.adbc_ingest(name, arrow, mode="append", db_schema_name=STAGING)
            if arrow.num_rows >= _MANY:
                cursor.execute(f"ANALYZE {STAGING}.{name}")
        conn.commit()
    return [f"{STAGING}.{name}" for name in tables]


def _creation(name: str, arrow: pa.Table) -> str:
    columns = ", ".join(f"{_quoted(field.name)} {column_type(field)}" for field in arrow.schema)
    qualified = f"{STAGING}.{name}"
    return (
        f"DROP TABLE IF EXISTS {qualified}; CREATE UNLOGGED TABLE {qualified} ({columns});"
        f" EXECUTE format('COMMENT ON TABLE {qualified} IS %L', clock_timestamp()::text)"
    )


@contextmanager
def _connection(uri: str) -> Iterator[Any]:
    """A connection of this process's, used again: making one asks the server for all its types (30 ms, measured)."""
    pooled = _pool(uri, os.getpid()).connect()
    try:
        yield pooled
    finally:
        pooled.close()


@lru_cache(maxsize=8)
def _pool(uri: str, process: int) -> QueuePool:  # noqa: ARG001
    pool = QueuePool(lambda: dbapi.connect(uri), pool_size=1, max_overflow=-1)
    event.listen(pool, "checkout", _require_alive)
    return pool


def _require_alive(conn: Any, *_: object) -> None:
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1")
    except dbapi.Error:
        raise DisconnectionError from None


def column_type(field: pa.Field) -> str:
    """The PostgreSQL type that ADBC, which never casts, writes a column of this Arrow type as."""
    kind = field.type
    if isinstance(kind, pa.ListType | pa.LargeListType):
        return f"{column_type(kind.value_field)}[]"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    for is_kind, name in _TYPES:
        if is_kind(kind):
            return name
    raise StoreError(f"Column '{field.name}' is of Arrow type {kind}, which the store has no type for.")


_TYPES = (
    (lambda kind: kind == pa.uuid(), "uuid"),
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "smallint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_float32, "real"),
    (pa.types.is_float64, "double precision"),
    (pa.types.is_date32, "date"),
    (pa.types.is_binary, "bytea"),
    (pa.types.is_large_binary, "bytea"),
)


def drop_staged(conn: Connection, names: Iterable[str]) -> None:
    """Drops staged tables by the names `stage_table` returned, in the caller's transaction; absent ones are fine."""
    for name in names:
        schema, _, table = name.rpartition(".")
        if schema not in ("", STAGING) or not _NAME.match(table):
            raise StoreError(f"'{name}' is not a staged table.")
        conn.execute(text(f"DROP TABLE IF EXISTS {STAGING}.{table}"))


def drop_orphans(conn: Connection, older_than: timedelta) -> list[str]:
    """Drops the staged tables made longer ago than that, in the caller's transaction, and returns their names."""
    orphans = [f"{STAGING}.{name}" for name in conn.execute(_ORPHANS, {"age": older_than}).scalars()]
    drop_staged(conn, orphans)
    return orphans


def read_table(
    source: Connection | ServerAddress, query: str | TextClause | Select[Any], params: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """The rows of a query as a frame: columns as in `frame_from_table`, order as the query gives it.

    From an address: by ADBC, over a connection of its own that acts as who logs in unless the address says otherwise
    (`address.acting_as`); sees what is committed. From a connection: inside its transaction, some five times slower.
    A query in text has its parameters as `:name`.
    """
    statement = text(query) if isinstance(query, str) else query
    if isinstance(source, Connection):
        return _read_in_transaction(source, statement, params or {})
    sql, values = _numbered(statement, params or {})
    uri = source.uri_adbc if "options" in source.url.query else source.acting_as(None).uri_adbc
    with store_errors(), _connection(uri) as conn, conn.cursor() as cursor:
        cursor.execute(sql, values or None)
        return frame_from_table(cursor.fetch_arrow_table())


def _numbered(statement: TextClause | Select[Any], params: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The statement in PostgreSQL's own `$1` spelling, and its values in that order."""
    bound = statement.bindparams(**params) if isinstance(statement, TextClause) else statement.params(**params)
    compiled = bound.compile(
        dialect=PGDialect(paramstyle="numeric_dollar"), compile_kwargs={"render_postcompile": True}
    )
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    return compiled.string, [str(value) if isinstance(value, UUID) else value for value in values]


def _read_in_transaction(
    conn: Connection, statement: TextClause | Select[Any], params: Mapping[str, Any]
) -> pd.DataFrame:
    # The driver's own rows: SQLAlchemy's would double the time.
    with store_errors(), conn.execute(statement, params) as result:
        described = result.cursor.description
        columns = list(zip(*result.cursor.fetchall(), strict=True))
    # DB-API order: name, type code (an object id here), sizes.
    names = [column[0] for column in described]
    kinds = [_ARROW_OF_OID.get(cast(int, column[1])) for column in described]
    values = columns or [()] * len(names)
    return frame_from_table(pa.table([_array(v, k) for v, k in zip(values, kinds, strict=True)], names=names))


# Object ids of PostgreSQL's own types never change (src/include/catalog/pg_type.dat).
_ARROW_OF_OID: dict[int, pa.DataType] = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    25: pa.large_string(),
    1043: pa.large_string(),
    701: pa.float64(),
    1082: pa.date32(),
    1184: pa.timestamp("us", "UTC"),
    2950: pa.uuid(),
    17: pa.large_binary(),
}


def _array(values: tuple[Any, ...], kind: pa.DataType | None) -> pa.Array:
    if kind == pa.uuid():
        storage = pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
        return pa.ExtensionArray.from_storage(pa.uuid(), storage)
    return pa.array(values, kind)


def _loadable(table: pa.Table) -> pa.Table:
    """Dictionaries and string views as plain text, all-null columns as text; no NUL anywhere."""
    fields = [field.with_type(_plain(field.type)) for field in table.schema]
    plain = table.cast(pa.schema(fields))
    if found := columns_with_nul(plain):
        raise StoreError(
            f"Text with a NUL character cannot be stored: column {', '.join(found)}. Take it out when reading the source.",
            sqlstate="22021",
        )
    return plain


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.large_string() if pa.types.is_string_view(kind) or pa.types.is_null(kind) else kind


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
