"""From a payload to the properties of a row: types, lengths, options, lookups; the refusals for what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from .clock import stamp_of
from .columns import Column, Row, Table, Target
from .keys import bound_row_id
from .refusals import (
    missing_column,
    outside_options,
    payload_error,
    too_long,
    undeclared_bind,
    unknown_property,
    wrong_literal,
    wrong_status,
)
from .state import Store
from .urls import GUID

_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$")
_INT32 = 2**31


def read_payload(store: Store, table: Table, payload: Row, *, creating: bool) -> Row:
    """The properties that a payload sets, null for those it clears.

    Columns that the server keeps are ignored; an unknown name, a wrong type, an over-long text, an unknown option
    or a bind to nothing is refused.
    """
    changes: Row = {}
    for name, value in payload.items():
        column = table.columns.get(name)
        if column is None or column.kind == "Lookup":
            _read_other(store, table, name, value, changes)
        elif column.on_create if creating else column.on_update:
            changes[name] = None if value is None else _read_value(table, column, value)
    _settle_state(table, changes)
    return changes


def require_columns(table: Table, row: Row) -> None:
    """Refused where a new row lacks a column that the table requires."""
    for column in table.columns.values():
        if column.required and row.get(column.property_name) is None:
            raise missing_column(table.logical, column.name)


def _read_other(store: Store, table: Table, name: str, value: Any, changes: Row) -> None:
    """Annotations and binds: everything in a payload that is not a plain column."""
    navigation, _, annotation = name.partition("@")
    if annotation == "odata.bind":
        pair = table.navigations.get(navigation)
        if pair is None:
            raise undeclared_bind(table.logical, navigation)
        _bind(store, pair, value, changes)
    elif annotation:
        return
    elif name in table.readable:
        raise payload_error(
            "Entity Reference properties cannot be updated directly, use Navigation properties instead."
        )
    else:
        raise unknown_property(table.logical, name)


def _bind(store: Store, pair: tuple[Column, Target], value: Any, changes: Row) -> None:
    column, target = pair
    if not column.on_update:
        return
    if value is None:
        changes[column.property_name] = None
        changes[type_property(column)] = None
        return
    if not isinstance(value, str):
        raise wrong_literal(value, "Edm.String")
    changes[column.property_name] = bound_row_id(store, value, target.table)
    if len(column.targets) > 1:
        changes[type_property(column)] = target.table


def type_property(column: Column) -> str:
    """Where a row keeps the table that a lookup over several tables points at; never read by name."""
    return f"{column.property_name}@type"


def _settle_state(table: Table, changes: Row) -> None:
    """State and status reason as a matching pair: a state alone takes its first reason."""
    state, status = changes.get("statecode"), changes.get("statuscode")
    if state is None and status is None:
        changes.pop("statecode", None)
        changes.pop("statuscode", None)
    elif state is not None and status is None:
        changes["statuscode"] = next(iter(table.states[state][1]))
    elif state is None and status is not None:
        changes["statecode"] = table.state_of_status[status]
    elif status is not None and table.state_of_status[status] != state:
        raise wrong_status(table.logical, status, state)


def _read_value(table: Table, column: Column, value: Any) -> Any:
    """A plain column's value in the form in which rows keep it."""
    if column.kind in ("String", "Memo"):
        return _read_text(table, column, value)
    if column.options is not None:
        if _read_whole(value) not in column.options:
            raise outside_options(table.logical, column.name, value, column.options)
        return value
    return _READERS[column.kind](value)


def _read_text(table: Table, column: Column, value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong_literal(value, "Edm.String")
    if column.max_length is not None and len(value.encode("utf-16-le")) > 2 * column.max_length:
        raise too_long(table.logical, column.name, column.max_length)
    return value or None


def _read_flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise wrong_literal(value, "Edm.Boolean")
    return value


def _read_whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT32 <= value < _INT32:
        raise wrong_literal(value, "Edm.Int32")
    return value


def _read_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_literal(value, "Edm.Decimal")
    return value


def _read_moment(value: Any) -> Any:
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise wrong_literal(value, "Edm.DateTimeOffset")
    try:
        return stamp_of(datetime.fromisoformat(value))
    except ValueError:
        raise wrong_literal(value, "Edm.DateTimeOffset") from None


def _read_day(value: Any) -> Any:
    if not isinstance(value, str) or not _DAY.match(value):
        raise wrong_literal(value, "Edm.Date")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise wrong_literal(value, "Edm.Date") from None


def _read_guid(value: Any) -> Any:
    if not isinstance(value, str) or not GUID.match(value):
        raise wrong_literal(value, "Edm.Guid")
    return value.lower()


_READERS: dict[str, Callable[[Any], Any]] = {
    "Boolean": _read_flag,
    "Integer": _read_whole,
    "BigInt": _read_whole,
    "Decimal": _read_number,
    "Double": _read_number,
    "DateTime": _read_moment,
    "DateOnly": _read_day,
    "Uniqueidentifier": _read_guid,
}
