"""Changes to the schema while the environment lives: new columns and alternate keys, and their removal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from .columns import Column, Row, Table
from .keys import KEY_TABLE, keys_of
from .messages import Answer, Call
from .refusals import Refused, invalid, payload_error
from .state import Store

COLUMN_TABLE = "attribute"
MOST_KEYS = 10
_MOST_KEY_COLUMNS = 16
_KEY_KINDS = ("Decimal", "Integer", "String", "DateTime", "Lookup", "Picklist")
_CAST = "Microsoft.Dynamics.CRM."
_COLUMN_KINDS = ("String", "Memo", "Integer", "Decimal", "Boolean", "DateTime", "Picklist")


def create_key(store: Store, call: Call, table: Table, delay_s: float) -> Answer:
    """Defines a key; it is Pending until its index job is through, `delay_s` of the emulated clock later."""
    body = call.json()
    names, schema_name = body.get("KeyAttributes") or [], str(body.get("SchemaName") or "")
    _check_key(store, table, names, schema_name)
    key_id = str(uuid4())
    row = {
        "entitykeyid": key_id,
        "entitylogicalname": table.logical,
        "logicalname": schema_name.lower(),
        "schemaname": schema_name,
        "displayname": _label(body) or schema_name,
        "keyattributes": names,
        "properties": [table.columns[name].property_name for name in names],
        "status": "Pending",
        "made_at": store.clock.seconds(),
        "delay_s": delay_s,
    }
    with store.transaction():
        store.put(KEY_TABLE, key_id, row)
    return Answer(
        204, {"OData-EntityId": f"{call.base_url}EntityDefinitions(LogicalName='{table.logical}')/Keys({key_id})"}
    )


def delete_key(store: Store, table: Table, key_id: str) -> Answer:
    if key_id not in {row["entitykeyid"] for row in keys_of(store, table.logical)}:
        raise Refused(404, "0x80040217", "The entity key does not exist.")
    with store.transaction():
        store.remove(KEY_TABLE, key_id)
    return Answer(204)


def reactivate_key(store: Store, call: Call) -> Answer:
    """Starts the index job of a failed key again."""
    body = call.json()
    for row in keys_of(store, str(body.get("EntityLogicalName"))):
        if row["logicalname"] == body.get("EntityKeyLogicalName"):
            with store.transaction():
                again = {**row, "status": "Pending", "made_at": store.clock.seconds()}
                store.put(KEY_TABLE, row["entitykeyid"], again)
            return Answer(204)
    raise Refused(404, "0x80040217", "The entity key does not exist.")


def create_column(store: Store, call: Call, table: Table) -> Answer:
    """Adds a column from its metadata; Refused for a type that is not understood or a name that is taken."""
    body = call.json()
    kind = str(body.get("@odata.type", "")).removeprefix("#").removeprefix(_CAST).removesuffix("AttributeMetadata")
    schema_name = str(body.get("SchemaName") or "")
    if kind not in _COLUMN_KINDS or "_" not in schema_name:
        raise payload_error("a column needs a known attribute type and a SchemaName with a publisher's prefix")
    if schema_name.lower() in table.columns:
        raise invalid(f"Attribute {schema_name.lower()} already exists on {table.logical}.", "0x80044363")
    column_id = str(uuid4())
    row = {
        "attributeid": column_id,
        "entitylogicalname": table.logical,
        "schemaname": schema_name,
        "kind": _kind(kind, body),
        "maxlength": body.get("MaxLength", 100) if kind in ("String", "Memo") else None,
        "options": _options(body) if kind == "Picklist" else None,
    }
    with store.transaction():
        store.put(COLUMN_TABLE, column_id, row)
    add_columns(store)
    url = f"{call.base_url}EntityDefinitions(LogicalName='{table.logical}')/Attributes({column_id})"
    return Answer(204, {"OData-EntityId": url})


def add_columns(store: Store) -> None:
    """Brings the tables to the columns that were added to them."""
    for row in store.data[COLUMN_TABLE].rows.values():
        rows = store.data[row["entitylogicalname"]]
        column = Column(
            row["schemaname"].lower(),
            row["kind"],
            max_length=row["maxlength"],
            options=None if row["options"] is None else dict(row["options"]),
            schema_name=row["schemaname"],
        )
        rows.table = replace(rows.table, columns={**rows.table.columns, column.name: column})


def drop_columns(store: Store, names: Iterable[str]) -> None:
    """Takes columns (`table.column`) away from an environment that is to be without them."""
    for name in names:
        logical, _, column = name.partition(".")
        rows = store.data[logical]
        rows.table = replace(rows.table, columns={n: c for n, c in rows.table.columns.items() if n != column})


def _check_key(store: Store, table: Table, names: list[str], schema_name: str) -> None:
    known = keys_of(store, table.logical)
    if not schema_name or not names or len(names) > _MOST_KEY_COLUMNS:
        raise payload_error("a key needs a SchemaName and 1 to 16 KeyAttributes")
    if any(name not in table.columns or table.columns[name].kind not in _KEY_KINDS for name in names):
        raise invalid("A key attribute does not exist or has a type that keys do not take.", "0x80060890")
    if len(known) >= MOST_KEYS or schema_name.lower() in {row["logicalname"] for row in known}:
        raise invalid("The entity key exists already, or the table has as many keys as it may.", "0x80060890")


def _kind(kind: str, body: Row) -> str:
    return "DateOnly" if kind == "DateTime" and body.get("Format") == "DateOnly" else kind


def _options(body: Row) -> list[tuple[int, str]]:
    options = (body.get("OptionSet") or {}).get("Options") or []
    return [(option["Value"], _text(option.get("Label"))) for option in options]


def _label(body: Row) -> str:
    return _text(body.get("DisplayName"))


def _text(label: Any) -> str:
    localised = (label or {}).get("LocalizedLabels") or [{}]
    return str(localised[0].get("Label", ""))
