"""Alternate keys as a client makes and takes them away; their life afterwards is in keys.py."""

from __future__ import annotations

from uuid import uuid4

from .columns import Table
from .definitions import text_of
from .keys import KEY_TABLE, keys_of
from .messages import Answer, Call
from .refusals import Refused, invalid, payload_error
from .state import Store

MOST_KEYS = 10
_MOST_KEY_COLUMNS = 16
_KEY_KINDS = ("Decimal", "Integer", "String", "DateTime", "Lookup", "Picklist")


def create_key(store: Store, call: Call, table: Table) -> Answer:
    """Defines a key; it is Pending until its index job is through, `key_delay_s` of the emulated clock later."""
    body = call.json()
    names, schema_name = body.get("KeyAttributes") or [], str(body.get("SchemaName") or "")
    _check_key(store, table, names, schema_name)
    key_id = str(uuid4())
    row = {
        "entitykeyid": key_id,
        "entitylogicalname": table.logical,
        "logicalname": schema_name.lower(),
        "schemaname": schema_name,
        "displayname": text_of(body.get("DisplayName")) or schema_name,
        "keyattributes": names,
        "properties": [table.columns[name].property_name for name in names],
        "status": "Pending",
        "made_at": store.clock.seconds(),
        "delay_s": store.options.key_delay_s,
    }
    with store.transaction():
        store.put(KEY_TABLE, key_id, row)
    url = f"{call.base_url}EntityDefinitions(LogicalName='{table.logical}')/Keys({key_id})"
    return Answer(204, {"OData-EntityId": url})


def delete_key(store: Store, table: Table, key_id: str) -> Answer:
    if key_id not in {row["entitykeyid"] for row in keys_of(store, table.logical)}:
        raise _no_such_key()
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
    raise _no_such_key()


def _no_such_key() -> Refused:
    return Refused(404, "0x80040217", "The entity key does not exist.")


def _check_key(store: Store, table: Table, names: list[str], schema_name: str) -> None:
    known = keys_of(store, table.logical)
    if not schema_name or not names or len(names) > _MOST_KEY_COLUMNS:
        raise payload_error("a key needs a SchemaName and 1 to 16 KeyAttributes")
    if table.elastic:
        raise invalid("Elastic tables take no alternate keys.", "0x80060890")
    if any(name not in table.columns or table.columns[name].kind not in _KEY_KINDS for name in names):
        raise invalid("A key attribute does not exist or has a type that keys do not take.", "0x80060890")
    if len(known) >= MOST_KEYS or schema_name.lower() in {row["logicalname"] for row in known}:
        raise invalid("The entity key exists already, or the table has as many keys as it may.", "0x80060890")
