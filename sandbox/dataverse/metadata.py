"""What a client may ask about tables: definitions, columns, option sets, lookups, keys, and bulk messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from .bulk import MESSAGES
from .columns import Column, Row, Table
from .filters import parse_filter
from .keys import keys_of
from .messages import Answer, Call, answer_json
from .provisioning import create_column, create_key, delete_key
from .refusals import Refused, invalid, unknown_resource
from .state import Store
from .urls import GUID, Resource, parse_key, parse_query, unquote_literal

SETS = ("EntityDefinitions", "sdkmessagefilters")
_CAST = "Microsoft.Dynamics.CRM."
_TYPES = {"DateOnly": "DateTime", "Uniqueidentifier": "UniqueIdentifier"}
_OPTION_KINDS = ("Picklist", "State", "Status", "Boolean")


def answer_metadata(store: Store, call: Call, resource: Resource) -> Answer:
    """Answers a request under one of SETS: mostly reads, and the making of columns and keys."""
    if call.method != "GET":
        return _change(store, call, resource)
    options = parse_query(call.query)
    if resource.name == "sdkmessagefilters":
        return _collection(store, call, options, _message_filters(store), "sdkmessagefilters")
    if resource.key is None:
        definitions = [_definition(rows.table) for rows in store.by_set.values()]
        return _collection(store, call, options, definitions, "EntityDefinitions")
    table = _named_table(store, resource.key)
    if not resource.rest:
        context = {"@odata.context": f"{call.base_url}$metadata#EntityDefinitions/$entity"}
        return answer_json({**context, **_selected(_definition(table), options)})
    return _part(store, call, options, table, resource.rest)


def _change(store: Store, call: Call, resource: Resource) -> Answer:
    if resource.name == "EntityDefinitions" and resource.key is not None and len(resource.rest) == 1:
        table = _named_table(store, resource.key)
        part, key = _segment(resource.rest[0])
        if (call.method, part) == ("POST", "Keys"):
            return create_key(store, call, table, store.key_delay_s)
        if (call.method, part) == ("POST", "Attributes"):
            return create_column(store, call, table)
        if (call.method, part) == ("DELETE", "Keys") and key is not None:
            return delete_key(store, table, key)
    raise Refused(405, "0x80060888", f"The requested resource does not support http method '{call.method}'.")


def _part(store: Store, call: Call, options: dict[str, str], table: Table, rest: list[str]) -> Answer:
    name, key = _segment(rest[0])
    part = _PARTS.get(name)
    if part is None:
        raise unknown_resource()
    items = part(store, table)
    if len(rest) > 1:
        kind = rest[1].removeprefix(_CAST)
        items = [item for item in items if item.get("@odata.type", "") == f"#{_CAST}{kind}"]
    expanded = [
        {k: v for k, v in item.items() if k != "OptionSet" or "OptionSet" in options.get("$expand", "")}
        for item in items
    ]
    if key is None:
        return _collection(store, call, options, expanded, f"EntityDefinitions('{table.logical}')/{name}")
    wanted = [item for item in expanded if item["LogicalName"] == key]
    if not wanted:
        raise Refused(404, "0x80041103", "Could not find an attribute with the specified name.")
    return answer_json(_selected(wanted[0], options))


def _collection(store: Store, call: Call, options: dict[str, str], items: list[Row], context: str) -> Answer:
    text = options.get("$filter")
    if text is not None:
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
        if name not in item and not name.startswith(("MaxLength", "Targets", "OptionSet")):
            raise invalid(f"Could not find a property named '{name}'.")
    kept = {"MetadataId", "@odata.type", "OptionSet", *names}
    return {name: value for name, value in item.items() if name in kept}


def _segment(text: str) -> tuple[str, str | None]:
    name, opened, key = text.partition("(")
    if not opened:
        return name, None
    parsed = parse_key(key.removesuffix(")"))
    return name, parsed if isinstance(parsed, str) else unquote_literal(parsed.get("LogicalName", "''"))


def _named_table(store: Store, key: str) -> Table:
    parsed = parse_key(key)
    for rows in store.by_set.values():
        if isinstance(parsed, str) and _metadata_id(rows.table.logical) == parsed:
            return rows.table
    name = "" if isinstance(parsed, str) else unquote_literal(parsed.get("LogicalName", "''"))
    if name not in store.data or store.data[name].table.internal:
        raise Refused(404, "0x80060888", "Could not find an entity with the specified name.")
    return store.data[name].table


def _definition(table: Table) -> Row:
    return {
        "MetadataId": _metadata_id(table.logical),
        "LogicalName": table.logical,
        "SchemaName": table.logical,
        "EntitySetName": table.set_name,
        "PrimaryIdAttribute": table.id_column,
        "PrimaryNameAttribute": table.primary_name,
        "ObjectTypeCode": table.type_code,
        "IsOptimisticConcurrencyEnabled": True,
        "ChangeTrackingEnabled": table.change_tracking,
        "IsCustomEntity": "_" in table.logical,
        "OwnershipType": "UserOwned",
        "TableType": "Standard",
    }


def _attributes(_store: Store, table: Table) -> list[Row]:
    return [_attribute(table, column) for column in table.columns.values()]


def _attribute(table: Table, column: Column) -> Row:
    kind = _TYPES.get(column.kind, column.kind)
    described: Row = {
        "@odata.type": f"#{_CAST}{kind}AttributeMetadata",
        "MetadataId": _metadata_id(f"{table.logical}.{column.name}"),
        "EntityLogicalName": table.logical,
        "LogicalName": column.name,
        "SchemaName": column.schema_name or column.name,
        "AttributeType": "DateTime" if column.kind == "DateOnly" else column.kind,
        "AttributeTypeName": {"Value": f"{kind}Type"},
        "IsValidForCreate": column.on_create,
        "IsValidForUpdate": column.on_update,
        "IsValidForRead": True,
        "IsCustomAttribute": "_" in column.name,
        "IsPrimaryId": column.name == table.id_column,
        "IsPrimaryName": column.name == table.primary_name,
        "RequiredLevel": {"Value": "ApplicationRequired" if column.required else "None"},
    }
    return described | _specifics(table, column)


def _specifics(table: Table, column: Column) -> Row:
    if column.max_length is not None:
        return {"MaxLength": column.max_length}
    if column.kind in ("DateTime", "DateOnly"):
        only = column.kind == "DateOnly"
        behaviour = {"Value": "DateOnly" if only else "UserLocal"}
        return {"Format": "DateOnly" if only else "DateAndTime", "DateTimeBehavior": behaviour}
    if column.kind == "Lookup":
        return {"Targets": [target.table for target in column.targets]}
    if column.kind in _OPTION_KINDS:
        return {"DefaultFormValue": column.default, "OptionSet": _option_set(table, column)}
    return {}


def _option_set(table: Table, column: Column) -> Row:
    described: Row = {"MetadataId": _metadata_id(f"{table.logical}.{column.name}.options"), "Name": column.name}
    if column.kind == "Boolean":
        return described | {"TrueOption": _option(1, "Yes"), "FalseOption": _option(0, "No")}
    options = [_option(value, label) for value, label in (column.options or {}).items()]
    if column.kind == "Status":
        options = [{**option, "State": table.state_of_status[option["Value"]]} for option in options]
    return described | {"Options": options}


def _option(value: int, label: str) -> Row:
    localised = {"Label": label, "LanguageCode": 1033}
    return {"Value": value, "Label": {"LocalizedLabels": [localised], "UserLocalizedLabel": localised}}


def _relationships(_store: Store, table: Table) -> list[Row]:
    return [
        {
            "MetadataId": _metadata_id(f"{table.logical}.{target.navigation}"),
            "SchemaName": f"{table.logical}_{target.navigation}_{target.table}",
            "ReferencingEntity": table.logical,
            "ReferencingAttribute": column.name,
            "ReferencingEntityNavigationPropertyName": target.navigation,
            "ReferencedEntity": target.table,
            "ReferencedAttribute": f"{target.table}id",
        }
        for column, target in table.navigations.values()
    ]


def _keys(store: Store, table: Table) -> list[Row]:
    return [
        {
            "MetadataId": row["entitykeyid"],
            "LogicalName": row["logicalname"],
            "SchemaName": row["schemaname"],
            "EntityLogicalName": table.logical,
            "KeyAttributes": row["keyattributes"],
            "EntityKeyIndexStatus": row["status"],
            "IsCustomizable": {"Value": True},
        }
        for row in keys_of(store, table.logical)
    ]


def _message_filters(store: Store) -> list[Row]:
    messages = ("Create", "Update", "Delete", "Retrieve", "RetrieveMultiple")
    return [
        {
            "sdkmessagefilterid": _metadata_id(f"{rows.table.logical}.{message}"),
            "sdkmessageid/name": message,
            "primaryobjecttypecode": rows.table.logical,
        }
        for rows in store.by_set.values()
        for message in (*messages, *(MESSAGES if rows.table.bulk else ()))
    ]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, str) and GUID.match(value):
        return "Uniqueidentifier"
    return "Integer" if isinstance(value, int) else "String"


def _metadata_id(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"sandbox.dataverse.{name}"))


_PARTS: dict[str, Callable[[Store, Table], list[Row]]] = {
    "Attributes": _attributes,
    "ManyToOneRelationships": _relationships,
    "Keys": _keys,
}
