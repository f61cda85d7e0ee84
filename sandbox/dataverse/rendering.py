"""From rows to JSON objects: the selected properties, the etag, and the annotations asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .columns import Column, Row, Table
from .refusals import unknown_property
from .state import Store
from .values import type_property

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"
_LABELLED = ("Picklist", "State", "Status", "Boolean", "DateTime", "DateOnly", "Lookup")


def selected_properties(table: Table, select: str | None) -> list[str]:
    """The properties that a `$select` names, all of them when it is absent; Refused for an unknown one."""
    if not select:
        return list(table.readable)
    names = [name.strip() for name in select.split(",") if name.strip()]
    for name in names:
        if name not in table.readable:
            raise unknown_property(table.logical, name)
    return names if table.id_column in names else [*names, table.id_column]


def row_renderer(store: Store, table: Table, select: str | None, annotations: str) -> Callable[[Row], Row]:
    """How one row is written into an answer, for this `$select` and these annotations."""
    names = selected_properties(table, select)

    def render(row: Row) -> Row:
        rendered: Row = {"@odata.etag": etag_of(row)}
        for name in names:
            rendered[name] = row.get(name)
        return rendered

    if not annotations:
        return render
    columns = [table.readable[name] for name in names if table.readable[name].kind in _LABELLED]

    def render_annotated(row: Row) -> Row:
        rendered = render(row)
        for column in columns:
            rendered.update(_annotations(store, column, row, annotations))
        return rendered

    return render_annotated


def etag_of(row: Row) -> str:
    return f'W/"{row["versionnumber"]}"'


def _annotations(store: Store, column: Column, row: Row, wanted: str) -> Row:
    name = column.property_name
    value = row.get(name)
    if value is None:
        return {}
    found = {f"{name}@{FORMATTED}": _label(store, column, row, value)}
    if column.kind == "Lookup":
        target = _target(column, row)
        found[f"{name}@{LOOKUP_TABLE}"] = target.table
        found[f"{name}@{NAVIGATION}"] = target.navigation
    if "*" in wanted:
        return found
    return {key: label for key, label in found.items() if key.split("@")[1] in wanted}


def _label(store: Store, column: Column, row: Row, value: Any) -> Any:
    if column.options:
        return column.options.get(value, str(value))
    if column.kind == "Boolean":
        return "Yes" if value else "No"
    if column.kind == "Lookup":
        rows = store.data[_target(column, row).table]
        return rows.rows.get(value, {}).get(rows.table.primary_name, "")
    return value.replace("T", " ").removesuffix("Z")


def _target(column: Column, row: Row) -> Any:
    table = row.get(type_property(column))
    return next((target for target in column.targets if target.table == table), column.targets[0])
