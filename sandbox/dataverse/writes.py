"""The life of one row: create, update, delete, with stamps, defaults and cascades. Callers open the transaction."""

from __future__ import annotations

from uuid import uuid4

from .columns import Column, Row, Table
from .duplicates import check_duplicates
from .keys import check_keys
from .messages import Caller
from .privileges import demand, demand_lookups
from .refusals import duplicate_row, invalid, not_allowed, payload_error, version_mismatch
from .state import Store, TableRows
from .urls import existing
from .values import read_payload, require_columns, type_property

_MADE = ("createdon", "overriddencreatedon", "_createdby_value", "_createdonbehalfby_value", "_ownerid_value")


def create_row(store: Store, table: Table, payload: Row, caller: Caller, *, complete: bool = True) -> str:
    """Adds a row and gives its id: that of the payload, else a new one.

    Refused when the id is taken, a required column is missing (unless `complete` is false), or the payload does not
    fit the table.
    """
    demand(store, caller, "Create", table)
    changes = read_payload(store, table, payload, creating=True)
    demand_lookups(store, caller, table, changes)
    new_id = changes.get(table.id_column) or str(uuid4())
    if new_id in store.data[table.logical].rows:
        raise duplicate_row()
    _check_first_state(table, changes)
    state = next(iter(table.states))
    first = {"statecode": state, "statuscode": next(iter(table.states[state][1]))}
    row = _without_nulls({**table.defaults, **first, **changes, table.id_column: new_id})
    if complete:
        require_columns(table, row)
    _stamp_creation(store, row, caller)
    _write(store, table, new_id, row, caller)
    return new_id


def update_row(store: Store, table: Table, row_id: str, payload: Row, caller: Caller) -> None:
    """Applies a payload to a row that exists; bumps its version and `modifiedon` even when nothing differs."""
    old = existing(store.data[table.logical], row_id)
    changes = _changes_of(store, table, row_id, payload, caller)
    row = _without_nulls({**old, **changes})
    for column in table.columns.values():
        if column.required and row.get(column.property_name) is None and column.property_name in changes:
            raise invalid(f"Required field '{column.name}' cannot be cleared.", "0x80040203")
    _stamp_change(store, row, caller)
    _write(store, table, row_id, row, caller)


def replace_row(store: Store, table: Table, row_id: str, payload: Row, caller: Caller) -> None:
    """Puts a payload in place of a row that exists: columns it does not name fall back to what a new row has."""
    old = existing(store.data[table.logical], row_id)
    changes = _changes_of(store, table, row_id, payload, caller)
    stamps = {name: old[name] for name in ("statecode", "statuscode", *_MADE) if name in old}
    row = _without_nulls({**table.defaults, **stamps, **changes, table.id_column: row_id})
    _stamp_change(store, row, caller)
    _write(store, table, row_id, row, caller)


def delete_row(store: Store, table: Table, row_id: str, caller: Caller) -> None:
    """Removes a row and what depends on it; 405 where a dependent row forbids it."""
    existing(store.data[table.logical], row_id)
    demand(store, caller, "Delete", table)
    _remove(store, table, row_id, caller)


def _remove(store: Store, table: Table, row_id: str, caller: Caller) -> None:
    """Without a look at privileges: what cascades, cascades."""
    for child, column in store.dependents[table.logical]:
        for child_id in _children(child, column, table.logical, row_id):
            _detach(store, child, column, child_id, caller)
    store.remove(table.logical, row_id)


def check_version(row: Row, condition: str | int | None) -> None:
    """Refused with 412 where an If-Match names another version than the row has."""
    if isinstance(condition, int) and condition != row["versionnumber"]:
        raise version_mismatch()


def _changes_of(store: Store, table: Table, row_id: str, payload: Row, caller: Caller) -> Row:
    """What a payload changes in a row; Refused where it names another row, or the caller may not write it."""
    demand(store, caller, "Write", table)
    if str(payload.get(table.id_column, row_id)).lower() != row_id:
        raise payload_error("the primary key in the body differs from that of the row")
    changes = read_payload(store, table, payload, creating=False)
    demand_lookups(store, caller, table, changes)
    return changes


def _write(store: Store, table: Table, row_id: str, row: Row, caller: Caller) -> None:
    _compute(table, row)
    check_keys(store, table, row_id, row)
    if caller.detects_duplicates:
        check_duplicates(store, table, row_id, row)
    store.inspect(table.logical, row)
    store.put(table.logical, row_id, row)


def _check_first_state(table: Table, changes: Row) -> None:
    first = next(iter(table.states))
    if table.starts_in_default_state and changes.get("statecode", first) != first:
        raise invalid(f"{table.logical} can only be created in its default state.", "0x80048408")


def _stamp_creation(store: Store, row: Row, caller: Caller) -> None:
    now = store.clock.stamp()
    overridden = row.get("overriddencreatedon")
    row["createdon"] = overridden or now
    if overridden:
        row["overriddencreatedon"] = now
    row["_createdby_value"] = caller.user_id
    row.setdefault("_ownerid_value", caller.user_id)
    if caller.acting_user_id:
        row["_createdonbehalfby_value"] = caller.acting_user_id
    _stamp_change(store, row, caller)


def _stamp_change(store: Store, row: Row, caller: Caller) -> None:
    row["modifiedon"] = store.clock.stamp()
    row["_modifiedby_value"] = caller.user_id
    if caller.acting_user_id:
        row["_modifiedonbehalfby_value"] = caller.acting_user_id
    else:
        row.pop("_modifiedonbehalfby_value", None)


def _compute(table: Table, row: Row) -> None:
    if table.primary_name == "fullname" and "firstname" in table.columns:
        full = " ".join(part for part in (row.get("firstname"), row.get("lastname")) if part)
        row.pop("fullname", None)
        if full:
            row["fullname"] = full


def _without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _children(child: TableRows, column: Column, logical: str, row_id: str) -> list[str]:
    found = child.ids_where(column.property_name, [row_id])
    if len(column.targets) == 1:
        return found
    return [child_id for child_id in found if child.rows[child_id].get(type_property(column)) == logical]


def _detach(store: Store, child: TableRows, column: Column, child_id: str, caller: Caller) -> None:
    if column.on_delete == "restrict":
        raise not_allowed(f"The row is referenced by {child.table.logical}: CannotDeleteDueToAssociation.")
    if column.on_delete == "cascade":
        _remove(store, child.table, child_id, caller)
        return
    row = dict(child.rows[child_id])
    row.pop(column.property_name, None)
    row.pop(type_property(column), None)
    store.put(child.table.logical, child_id, row)
