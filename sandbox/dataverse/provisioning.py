"""Changes to the schema while the environment lives: tables and columns made, changed and taken away.

What is new is visible `metadata_delay_s` later, or to a metadata read with `Consistency: Strong`, as behind the
server's cache of metadata.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import uuid4

from .columns import Column, Row, Table
from .definitions import column_definition, column_of, table_definition, table_of
from .keys import KEY_TABLE, keys_of
from .messages import Answer, Call
from .privileges import keep_privileges
from .refusals import Refused, invalid, not_allowed
from .state import TABLE_TABLE, Store, TableRows

COLUMN_TABLE = "attribute"
OPTION_SET_TABLE = "optionset"
TRACKING_TABLE = "entitytracking"
_GLOBAL_SET = "GlobalOptionSet@odata.bind"


def create_table(store: Store, call: Call, body: Row) -> Answer:
    """Makes a table with its columns; Refused where the name is taken."""
    definition = table_definition(body)
    table = table_of(definition)
    if table.logical in store.data:
        raise invalid(f"An entity with the name {table.logical} already exists.", "0x80044363")
    with store.transaction():
        store.put(TABLE_TABLE, str(uuid4()), {**definition, "visible_at": _visible_at(store)})
    settle_schema(store)
    return Answer(204, {"OData-EntityId": f"{call.base_url}EntityDefinitions(LogicalName='{table.logical}')"})


def delete_table(store: Store, table: Table) -> Answer:
    """Takes a table that was made, its rows, columns and keys; Refused for one that belongs to the product."""
    defined = [key for key, row in store.data[TABLE_TABLE].rows.items() if row["schemaname"].lower() == table.logical]
    if not defined:
        raise not_allowed(f"Entity {table.logical} belongs to a managed solution and cannot be deleted.")
    with store.transaction():
        for kept in (COLUMN_TABLE, KEY_TABLE, TRACKING_TABLE):
            for row_id in [i for i, row in store.data[kept].rows.items() if row["entitylogicalname"] == table.logical]:
                store.remove(kept, row_id)
        store.remove(TABLE_TABLE, defined[0])
    store.drop_table(table.logical)
    return Answer(204)


def enable_tracking(store: Store, table: Table, body: Row) -> Answer:
    """PUT of a table's definition: change tracking is the one property that is taken, and it cannot be undone."""
    wanted = body.get("ChangeTrackingEnabled", table.change_tracking)
    if table.change_tracking and not wanted:
        raise invalid("Change tracking cannot be disabled once it is enabled.", "0x80044335")
    if wanted:
        with store.transaction():
            store.put(TRACKING_TABLE, table.logical, {"entitylogicalname": table.logical})
        settle_schema(store)
    return Answer(204)


def create_column(store: Store, call: Call, table: Table) -> Answer:
    """Adds a column; Refused for a type that is not understood or a name that is taken."""
    definition = _with_global_options(store, column_definition(call.json()), call.json())
    name, column_id = definition["schemaname"].lower(), str(uuid4())
    if name in table.columns or name in {row["schemaname"].lower() for row in _added(store, table)}:
        raise invalid(f"Attribute {name} already exists on {table.logical}.", "0x80044363")
    _keep_column(store, table, column_id, {**definition, "visible_at": _visible_at(store)})
    settle_schema(store)
    url = f"{call.base_url}EntityDefinitions(LogicalName='{table.logical}')/Attributes({column_id})"
    return Answer(204, {"OData-EntityId": url})


def update_column(store: Store, table: Table, column: Column, body: Row) -> Answer:
    """PUT of a column's full definition; of it the length is taken."""
    definition = column_definition({**body, "SchemaName": body.get("SchemaName") or column.schema_name or column.name})
    present = {row["schemaname"].lower(): row["attributeid"] for row in _added(store, table)}
    changed = {**definition, "options": column.options and list(column.options.items()), "visible_at": 0.0}
    _keep_column(store, table, present.get(column.name, str(uuid4())), changed)
    settle_schema(store)
    return Answer(204)


def delete_column(store: Store, table: Table, column: Column) -> Answer:
    """Takes a column that was added, with its values; Refused for one of the product's, or one that a key needs."""
    added = {row["schemaname"].lower(): row["attributeid"] for row in _added(store, table)}
    if column.name not in added and column.name not in _own_columns(store, table):
        raise not_allowed(f"Attribute {column.name} belongs to a managed solution and cannot be deleted.")
    if any(column.name in key["keyattributes"] for key in keys_of(store, table.logical)):
        raise invalid(f"Attribute {column.name} is part of an alternate key.", "0x80060890")
    with store.transaction():
        if column.name in added:
            store.remove(COLUMN_TABLE, added[column.name])
        _forget_own_column(store, table, column)
        for row_id, row in list(store.data[table.logical].rows.items()):
            if column.property_name in row:
                store.put(table.logical, row_id, {k: v for k, v in row.items() if k != column.property_name})
    drop_columns(store, [f"{table.logical}.{column.name}"])
    return Answer(204)


def settle_schema(store: Store, *, strong: bool = False) -> None:
    """Brings the tables to what was defined for them and is visible by now; `strong` sees everything."""
    now = float("inf") if strong else store.clock.seconds()
    for definition in store.data[TABLE_TABLE].rows.values():
        if definition["visible_at"] <= now and definition["schemaname"].lower() not in store.data:
            store.add_table(table_of(definition))
            with store.transaction():
                keep_privileges(store)
    for definition in store.data[COLUMN_TABLE].rows.values():
        rows = store.data.get(definition["entitylogicalname"])
        if rows is not None and definition["visible_at"] <= now:
            _apply(rows, definition)
    for logical in store.data[TRACKING_TABLE].rows:
        if not store.data[logical].table.change_tracking:
            flag_tables(store, [logical], change_tracking=True)


def drop_columns(store: Store, names: Iterable[str]) -> None:
    """Takes columns (`table.column`) away from an environment that is to be without them."""
    for name in names:
        logical, _, column = name.partition(".")
        rows = store.data[logical]
        rows.table = replace(rows.table, columns={n: c for n, c in rows.table.columns.items() if n != column})


def flag_tables(store: Store, names: Iterable[str], **flags: bool) -> None:
    """Gives tables a property (a flag of Table) in which this environment differs from the usual."""
    for name in names:
        rows = store.data[name]
        rows.table = replace(rows.table, **flags)  # type: ignore[arg-type]


def _apply(rows: TableRows, definition: Row) -> None:
    name = definition["schemaname"].lower()
    column = column_of(definition, rows.table.columns.get(name))
    if rows.table.columns.get(name) != column:
        rows.table = replace(rows.table, columns={**rows.table.columns, name: column})


def _keep_column(store: Store, table: Table, column_id: str, definition: Row) -> None:
    row = {"attributeid": column_id, "entitylogicalname": table.logical, **definition}
    with store.transaction():
        store.put(COLUMN_TABLE, column_id, row)


def _added(store: Store, table: Table) -> list[Row]:
    return [row for row in store.data[COLUMN_TABLE].rows.values() if row["entitylogicalname"] == table.logical]


def _own_columns(store: Store, table: Table) -> set[str]:
    """The columns with which a table that was added was made, besides its primary name."""
    for definition in store.data[TABLE_TABLE].rows.values():
        if definition["schemaname"].lower() == table.logical:
            return {column["schemaname"].lower() for column in definition["columns"]} - {definition["primaryname"]}
    return set()


def _forget_own_column(store: Store, table: Table, column: Column) -> None:
    for key, row in list(store.data[TABLE_TABLE].rows.items()):
        if row["schemaname"].lower() == table.logical:
            kept = [each for each in row["columns"] if each["schemaname"].lower() != column.name]
            store.put(TABLE_TABLE, key, {**row, "columns": kept})


def _with_global_options(store: Store, definition: Row, body: Row) -> Row:
    """The definition with the options of the global set that its payload binds, if it binds one."""
    reference = body.get(_GLOBAL_SET)
    if reference is None:
        return definition
    for set_id, row in store.data[OPTION_SET_TABLE].rows.items():
        if set_id in reference or f"'{row['name']}'" in reference:
            return {**definition, "options": row["options"]}
    raise Refused(404, "0x80048401", "Could not find an OptionSet with the specified name or id.")


def _visible_at(store: Store) -> float:
    return store.clock.seconds() + store.options.metadata_delay_s
