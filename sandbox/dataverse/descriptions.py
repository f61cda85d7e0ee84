"""How tables, columns, relationships and keys are described: from their definitions to metadata objects."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from .columns import Column, Row, Table
from .definitions import CAST
from .keys import keys_of
from .state import Store

_TYPES = {"DateOnly": "DateTime", "Uniqueidentifier": "UniqueIdentifier"}
_OPTION_KINDS = ("Picklist", "State", "Status", "Boolean")


def metadata_id(name: str) -> str:
    """The MetadataId of a table, column (`table.column`), option set or relationship: the same everywhere."""
    return str(uuid5(NAMESPACE_OID, f"sandbox.dataverse.{name}"))


def describe_table(table: Table) -> Row:
    return {
        "MetadataId": metadata_id(table.logical),
        "LogicalName": table.logical,
        "SchemaName": table.schema_name or table.logical,
        "EntitySetName": table.set_name,
        "PrimaryIdAttribute": table.id_column,
        "PrimaryNameAttribute": table.primary_name,
        "ObjectTypeCode": table.type_code,
        "IsOptimisticConcurrencyEnabled": table.optimistic_concurrency,
        "ChangeTrackingEnabled": table.change_tracking,
        "IsCustomEntity": "_" in table.logical,
        "IsPrivate": False,
        "OwnershipType": "UserOwned",
        "TableType": "Elastic" if table.elastic else "Standard",
    }


def describe_columns(_store: Store, table: Table) -> list[Row]:
    return [describe_column(table, column) for column in table.columns.values()]


def describe_column(table: Table, column: Column) -> Row:
    kind = _TYPES.get(column.kind, column.kind)
    described: Row = {
        "@odata.type": f"#{CAST}{kind}AttributeMetadata",
        "MetadataId": metadata_id(f"{table.logical}.{column.name}"),
        "EntityLogicalName": table.logical,
        "LogicalName": column.name,
        "SchemaName": column.schema_name or column.name,
        "AttributeType": "DateTime" if column.kind == "DateOnly" else column.kind,
        "AttributeTypeName": {"Value": f"{kind}Type"},
        "IsValidForCreate": column.on_create,
        "IsValidForUpdate": column.on_update,
        "IsValidForRead": True,
        "IsSecured": False,
        "IsCustomAttribute": "_" in column.name,
        "IsPrimaryId": column.name == table.id_column,
        "IsPrimaryName": column.name == table.primary_name,
        "RequiredLevel": {"Value": "ApplicationRequired" if column.required else "None"},
    }
    return described | _specifics(table, column)


def describe_lookups(store: Store, table: Table) -> list[Row]:
    return [
        {
            "MetadataId": metadata_id(f"{table.logical}.{target.navigation}"),
            "SchemaName": f"{table.logical}_{target.navigation}_{target.table}",
            "ReferencingEntity": table.logical,
            "ReferencingAttribute": column.name,
            "ReferencingEntityNavigationPropertyName": target.navigation,
            "ReferencedEntity": target.table,
            "ReferencedAttribute": store.data[target.table].table.id_column,
        }
        for column, target in table.navigations.values()
    ]


def describe_referring(store: Store, table: Table) -> list[Row]:
    """The lookups of other tables that point at this one."""
    everything = (each for rows in store.by_set.values() for each in describe_lookups(store, rows.table))
    return [each for each in everything if each["ReferencedEntity"] == table.logical]


def describe_keys(store: Store, table: Table) -> list[Row]:
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


def describe_options(set_id: str, name: str, options: list[tuple[int, str]]) -> Row:
    """An OptionSetMetadata."""
    return {"MetadataId": set_id, "Name": name, "Options": [_option(value, label) for value, label in options]}


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
    set_id = metadata_id(f"{table.logical}.{column.name}.options")
    if column.kind == "Boolean":
        pair = {"TrueOption": _option(1, "Yes"), "FalseOption": _option(0, "No")}
        return {"MetadataId": set_id, "Name": column.name, **pair}
    described = describe_options(set_id, column.name, list((column.options or {}).items()))
    if column.kind == "Status":
        for option in described["Options"]:
            option["State"] = table.state_of_status[option["Value"]]
    return described


def _option(value: int, label: str) -> Row:
    localised = {"Label": label, "LanguageCode": 1033}
    return {"Value": value, "Label": {"LocalizedLabels": [localised], "UserLocalizedLabel": localised}}
