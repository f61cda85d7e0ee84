"""Reading back: what a value we wrote looks like when the CRM answers with it. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.tables import ALL_TABLES, LIST_MEMBER, Kind

_BOUND = re.compile(r"\(([0-9a-fA-F-]{36})\)")


def read_columns(table: str, columns: Iterable[str]) -> list[str]:
    """The names under which written columns are read; the key alone where nothing was written."""
    known = ALL_TABLES[table].columns
    return [known[name].read_as or name for name in columns] or [ALL_TABLES[table].primary_key]


def as_read(table: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as written, under the names and in the form in which they are read: a bind becomes the bound row's id."""
    known = ALL_TABLES[table].columns
    return {known[name].read_as or name: _value(known[name].kind, value) for name, value in columns.items()}


def as_written(table: str, row: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """The columns of a row as read, under the names and in the form in which they are written; None where it has none."""
    known = ALL_TABLES[table].columns
    return {name: _bind(known[name].binds_to, row.get(known[name].read_as or name)) for name in columns}


def _bind(entity_set: str | None, value: Any) -> Any:
    return value if entity_set is None or value is None else f"/{entity_set}({str(value).lower()})"


def _value(kind: Kind, value: Any) -> Any:
    if kind is Kind.BIND and value is not None:
        bound = _BOUND.search(value)
        return bound.group(1).lower() if bound else value
    return value


def read_membership(columns: Mapping[str, Any]) -> tuple[str, str]:
    """The ids of list and contact of a membership as written."""
    read = as_read(LIST_MEMBER.logical_name, columns)
    return read["_listid_value"], read["_entityid_value"]
