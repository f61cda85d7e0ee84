"""Alternate keys: their life from Pending to Active or Failed, finding rows by them, and keeping them unique.

A key compares by the environment's collation; a row with any null part is outside it; an inactive row is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .columns import Column, Row, Table
from .refusals import (
    invalid,
    key_violated,
    missing_key_values,
    missing_row,
    no_such_key,
    query_syntax,
    restricted_key,
)
from .state import Store, TableRows
from .urls import BASE_PATH, GUID, parse_key, parse_path, rows_of, unquote_literal

KEY_TABLE = "entitykey"
_RESTRICTED = frozenset("/<>*%&:\\?+")


@dataclass(frozen=True)
class Located:
    """What a key in a URL names: the id of a row that may not exist, or the values under which a row may be made."""

    row_id: str | None
    text: str
    values: Row = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def locate(store: Store, rows: TableRows, text: str, *, in_url: bool = True) -> Located:
    """Resolves the text between the parentheses; Refused where it is no key of the table, or not usable in a URL."""
    parsed = parse_key(text)
    table = rows.table
    if isinstance(parsed, str):
        return Located(parsed, text, {table.id_column: parsed})
    if list(parsed) == [table.id_column] and GUID.match(parsed[table.id_column]):
        row_id = parsed[table.id_column].lower()
        return Located(row_id, text, {table.id_column: row_id})
    columns = _columns_of_key(store, table, set(parsed))
    values = {column.property_name: _key_value(column, parsed[column.property_name]) for column in columns}
    if in_url and any(_RESTRICTED & set(value) for value in values.values() if isinstance(value, str)):
        raise restricted_key(store.options.restricted_key_status, table.logical)
    payload: Row = {}
    for column in columns:
        payload.update(_as_payload(store, column, values[column.property_name]))
    return Located(find_row(rows, values), text, payload, tuple(payload))


def located_id(rows: TableRows, located: Located) -> str:
    """The id of a row that must exist."""
    if located.row_id is None:
        raise missing_key_values(rows.table.logical)
    if located.row_id not in rows.rows:
        raise missing_row(rows.table.logical, located.row_id)
    return located.row_id


def bound_row_id(store: Store, reference: str, logical: str) -> str:
    """The id in a bind such as `/contacts(<guid>)`, checked to exist; Refused for another table or a missing row."""
    relative = reference.rsplit(BASE_PATH, 1)[-1] if "://" in reference else reference.removeprefix(BASE_PATH)
    resource = parse_path(relative)
    rows = rows_of(store, resource.name)
    if rows.table.logical != logical or resource.key is None:
        raise invalid(f"A navigation property to {logical} cannot be bound to {resource.name}.", "0x80048d19")
    return located_id(rows, locate(store, rows, resource.key))


def keys_of(store: Store, logical: str) -> list[Row]:
    """The definitions of a table's keys, whatever their state."""
    return [row for row in store.data[KEY_TABLE].rows.values() if row["entitylogicalname"] == logical]


def settle_keys(store: Store) -> None:
    """Moves keys on whose index job is due: to Active, or to Failed where the rows already have duplicates."""
    now = store.clock.seconds()
    waiting = [row for row in store.data[KEY_TABLE].rows.values() if row["status"] in ("Pending", "InProgress")]
    for row in waiting:
        status = _due_status(store, row, now)
        if status != row["status"]:
            with store.transaction():
                store.put(KEY_TABLE, row["entitykeyid"], {**row, "status": status})


def check_keys(store: Store, table: Table, row_id: str, row: Row) -> None:
    """Refused where another row has the same values of an active key."""
    for key in keys_of(store, table.logical) if store.data[KEY_TABLE].rows else ():
        values = {name: row.get(name) for name in key["properties"]}
        if key["status"] != "Active" or None in values.values():
            continue
        other = find_row(store.data[table.logical], values, besides=row_id)
        if other is not None:
            raise key_violated(key["displayname"], values)


def find_row(rows: TableRows, values: Row, *, besides: str | None = None) -> str | None:
    """The row that has these values by the collation, other than `besides`."""
    first = next(iter(values))
    for row_id in rows.ids_where(first, [values[first]]):
        if row_id != besides and all(_same(rows, rows.rows[row_id].get(name), value) for name, value in values.items()):
            return row_id
    return None


def _due_status(store: Store, row: Row, now: float) -> str:
    age = now - row["made_at"]
    if age < row["delay_s"]:
        return "InProgress" if age >= row["delay_s"] / 2 else "Pending"
    rows = store.data[row["entitylogicalname"]]
    seen = set()
    for each in rows.rows.values():
        values = tuple(each.get(name) for name in row["properties"])
        if None in values:
            continue
        folded = tuple(rows.collation.fold(value) if isinstance(value, str) else value for value in values)
        if folded in seen:
            return "Failed"
        seen.add(folded)
    return "Active"


def _columns_of_key(store: Store, table: Table, names: set[str]) -> list[Column]:
    for key in keys_of(store, table.logical):
        if set(key["properties"]) == names and key["status"] == "Active":
            return [table.readable[name] for name in key["properties"]]
    raise no_such_key(table.logical)


def _key_value(column: Column, literal: str) -> Any:
    quoted = literal.startswith("'")
    if quoted != (column.kind in ("String", "Memo")):
        raise query_syntax()
    if quoted:
        return unquote_literal(literal)
    if column.kind == "Lookup":
        return literal.lower()
    try:
        return literal if column.kind == "DateTime" else int(literal)
    except ValueError:
        raise query_syntax() from None


def _as_payload(store: Store, column: Column, value: Any) -> Row:
    if column.kind != "Lookup":
        return {column.name: value}
    target = column.targets[0]
    return {f"{target.navigation}@odata.bind": f"/{store.data[target.table].table.set_name}({value})"}


def _same(rows: TableRows, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return rows.collation.fold(left) == rows.collation.fold(right)
    return bool(left == right)
