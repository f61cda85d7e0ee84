"""What a client may ask about tables and change in them: definitions with their columns, lookups and keys."""

from __future__ import annotations

import re
from collections.abc import Callable

from .bulk import MESSAGES
from .columns import Column, Row, Table
from .definitions import CAST
from .descriptions import (
    describe_columns,
    describe_keys,
    describe_lookups,
    describe_referring,
    describe_table,
    metadata_id,
)
from .filters import parse_filter
from .key_provisioning import create_key, delete_key
from .messages import Answer, Call, answer_json
from .option_sets import answer_option_sets
from .privileges import demand_named
from .provisioning import (
    create_column,
    create_table,
    delete_column,
    delete_table,
    enable_tracking,
    settle_schema,
    update_column,
)
from .refusals import Refused, invalid, unknown_resource, wrong_verb
from .state import Store
from .urls import GUID, Resource, options_within, parse_key, parse_query, split_outside, unquote_literal

SETS = ("EntityDefinitions", "GlobalOptionSetDefinitions", "sdkmessagefilters")
_ENUM = re.compile(r"Microsoft\.Dynamics\.CRM\.\w+('\w+')")


def answer_metadata(store: Store, call: Call, resource: Resource) -> Answer:
    """Answers a request under one of SETS."""
    settle_schema(store, strong=call.headers.get("consistency") == "Strong")
    options = parse_query(call.query)
    if resource.name == "GlobalOptionSetDefinitions":
        return answer_option_sets(store, call, resource)
    if call.method != "GET":
        return _change(store, call, resource)
    if resource.name == "sdkmessagefilters":
        return _collection(store, call, options, _message_filters(store), "sdkmessagefilters")
    if resource.key is None:
        definitions = [_expanded(store, rows.table, options) for rows in store.by_set.values()]
        return _collection(store, call, options, definitions, "EntityDefinitions")
    table = named_table(store, resource.key)
    if not resource.rest:
        context = {"@odata.context": f"{call.base_url}$metadata#EntityDefinitions/$entity"}
        return answer_json({**context, **_selected(_expanded(store, table, options), options)})
    return _part(store, call, options, table, resource.rest)


def named_table(store: Store, key: str) -> Table:
    """The table that a key of EntityDefinitions names, by MetadataId or LogicalName; Refused for none."""
    parsed = parse_key(key)
    for rows in store.by_set.values():
        if isinstance(parsed, str) and metadata_id(rows.table.logical) == parsed:
            return rows.table
    name = "" if isinstance(parsed, str) else unquote_literal(parsed.get("LogicalName", "''"))
    if name not in store.data or store.data[name].table.internal:
        raise Refused(404, "0x80060888", "Could not find an entity with the specified name.")
    return store.data[name].table


def _change(store: Store, call: Call, resource: Resource) -> Answer:
    demand_named(store, call.caller, "prvCreateAttribute" if resource.rest else "prvCreateEntity")
    if resource.name != "EntityDefinitions":
        raise wrong_verb(call.method)
    if resource.key is None and not resource.rest and call.method == "POST":
        return create_table(store, call, call.json())
    if resource.key is None or len(resource.rest) > 1:
        raise wrong_verb(call.method)
    table = named_table(store, resource.key)
    if resource.rest:
        return _change_part(store, call, table, resource.rest[0])
    if call.method == "DELETE":
        return delete_table(store, table)
    if call.method == "PUT":
        return enable_tracking(store, table, call.json())
    raise wrong_verb(call.method)


def _change_part(store: Store, call: Call, table: Table, segment: str) -> Answer:
    part, key = _segment(segment)
    if (call.method, part) == ("POST", "Keys"):
        return create_key(store, call, table)
    if (call.method, part) == ("POST", "Attributes"):
        return create_column(store, call, table)
    if (call.method, part) == ("DELETE", "Keys") and key is not None:
        return delete_key(store, table, key)
    if (call.method, part) == ("DELETE", "Attributes") and key is not None:
        return delete_column(store, table, _named_column(table, key))
    if (call.method, part) == ("PUT", "Attributes") and key is not None:
        return update_column(store, table, _named_column(table, key), call.json())
    raise wrong_verb(call.method)


def _part(store: Store, call: Call, options: dict[str, str], table: Table, rest: list[str]) -> Answer:
    name, key = _segment(rest[0])
    part = _PARTS.get(name)
    if part is None:
        raise unknown_resource()
    items = part(store, table)
    cast = rest[1].removeprefix(CAST) if len(rest) > 1 else None
    if cast is not None:
        items = [item for item in items if item.get("@odata.type", "") == f"#{CAST}{cast}"]
    if "OptionSet" not in options.get("$expand", ""):
        items = [{k: v for k, v in item.items() if k != "OptionSet"} for item in items]
    if key is None:
        return _collection(store, call, options, items, f"EntityDefinitions('{table.logical}')/{name}")
    wanted = [item for item in items if key in (item.get("LogicalName"), item["MetadataId"])]
    if not wanted:
        raise _no_such_column()
    return answer_json(_selected(wanted[0], options))


def _expanded(store: Store, table: Table, options: dict[str, str]) -> Row:
    """A definition with the parts that `$expand` names, each with its own `$select`; Refused for another name."""
    described = describe_table(table)
    for text in split_outside(options.get("$expand", ""), ","):
        name, nested = options_within(text)
        if name not in _PARTS:
            raise invalid(f"Could not find a property named '{name}' on type '{CAST}EntityMetadata'.")
        described[name] = [_selected(item, nested) for item in _PARTS[name](store, table)]
    return described


def _collection(store: Store, call: Call, options: dict[str, str], items: list[Row], context: str) -> Answer:
    text = options.get("$filter")
    if text is not None:
        text = _ENUM.sub(r"\1", text)
        kinds = {name: _kind(value) for item in items for name, value in item.items()}
        aliases = {name: value for name, value in options.items() if name.startswith("@")}
        condition = parse_filter(text, kinds, store.collation, aliases=aliases, type_name="EntityMetadata")
        items = [item for item in items if condition.holds(item)]
    value = [_selected(item, options) for item in items]
    return answer_json({"@odata.context": f"{call.base_url}$metadata#{context}", "value": value})


def _selected(item: Row, options: dict[str, str]) -> Row:
    """The selected properties, always with the id, the cast and what was expanded."""
    select = options.get("$select")
    if not select:
        return {name: value for name, value in item.items() if "/" not in name}
    names = [name.strip() for name in select.split(",")]
    for name in names:
        if name not in item and not name.startswith(("MaxLength", "Targets", "OptionSet", "Attributes")):
            raise invalid(f"Could not find a property named '{name}'.")
    kept = {"MetadataId", "@odata.type", "OptionSet", *_PARTS, *names}
    return {name: value for name, value in item.items() if name in kept}


def _segment(text: str) -> tuple[str, str | None]:
    name, opened, key = text.partition("(")
    if not opened:
        return name, None
    parsed = parse_key(key.removesuffix(")"))
    return name, parsed if isinstance(parsed, str) else unquote_literal(parsed.get("LogicalName", "''"))


def _named_column(table: Table, key: str) -> Column:
    for column in table.columns.values():
        if key in (column.name, metadata_id(f"{table.logical}.{column.name}")):
            return column
    raise _no_such_column()


def _message_filters(store: Store) -> list[Row]:
    messages = ("Create", "Update", "Delete", "Retrieve", "RetrieveMultiple")
    return [
        {
            "sdkmessagefilterid": metadata_id(f"{rows.table.logical}.{message}"),
            "sdkmessageid/name": message,
            "primaryobjecttypecode": rows.table.logical,
        }
        for rows in store.by_set.values()
        for message in (*messages, *(MESSAGES if rows.table.bulk else ()))
    ]


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, str) and GUID.match(value):
        return "Uniqueidentifier"
    return "Integer" if isinstance(value, int) else "String"


def _no_such_column() -> Refused:
    return Refused(404, "0x80041103", "Could not find an attribute with the specified name.")


_PARTS: dict[str, Callable[[Store, Table], list[Row]]] = {
    "Attributes": describe_columns,
    "ManyToOneRelationships": describe_lookups,
    "OneToManyRelationships": describe_referring,
    "Keys": describe_keys,
}
