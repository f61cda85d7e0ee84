"""What a table looks like in this environment: columns with lengths and options, navigation properties.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api
"""

from collections.abc import Callable
from typing import Any

from connectors.dataverse import odata
from connectors.dataverse.batched_reads import BatchedReads
from connectors.dataverse.contract import TableDefinition, TableName
from schemas.errors import CrmMisconfigured

Item = dict[str, Any]
Fact = tuple[str, dict[str, object]]
"""A column's name, and something that is known of it."""


def fetch_table_definition(batched: BatchedReads, table: TableName) -> TableDefinition:
    """The definition of a table, in one request; `CrmMisconfigured` where the table is not there, or its entity set or
    primary key is named otherwise.
    """
    path, label = f"EntityDefinitions(LogicalName='{table.logical_name}')", f"metadata of {table.logical_name}"
    reads = [odata.read(path, _ENTITY, label=label)]
    reads += [odata.read(f"{path}{part}", query, label=label) for part, query, _ in _PARTS]
    entity, *parts = batched.contents(reads, label=label)
    if (entity.get("EntitySetName"), entity.get("PrimaryIdAttribute")) != (table.entity_set, table.primary_key):
        raise CrmMisconfigured(
            f"Table {table.logical_name} has another entity set or primary key than {table.entity_set} and"
            f" {table.primary_key}. Remedy: mend the table's declaration."
        )
    columns: dict[str, dict[str, object]] = {}
    for content, (_, _, facts_of) in zip(parts, _PARTS, strict=True):
        for item in batched.rows(content, label=label):
            name, facts = facts_of(item)
            columns.setdefault(name, {}).update(facts)
    return TableDefinition(
        table,
        columns,
        is_change_tracked=bool(entity.get("ChangeTrackingEnabled")),
        has_optimistic_concurrency=bool(entity.get("IsOptimisticConcurrencyEnabled")),
    )


def _type(item: Item) -> Fact:
    writable = item.get("IsValidForCreate") is not False and item.get("IsValidForUpdate") is not False
    facts = {"type": item["AttributeType"], "is_writable": writable, "is_secured": item.get("IsSecured") is True}
    return item["LogicalName"], facts


def _date(item: Item) -> Fact:
    is_day = (item.get("DateTimeBehavior") or {}).get("Value") == "DateOnly"
    return item["LogicalName"], {"type": "DateOnly"} if is_day else {}


def _length(item: Item) -> Fact:
    return item["LogicalName"], {"max_length": item["MaxLength"]}


def _options(item: Item) -> Fact:
    options = (item.get("OptionSet") or {}).get("Options", [])
    return item["LogicalName"], {"options": [option["Value"] for option in options]}


def _choices(item: Item) -> Fact:
    # The plain attribute type of a multi-select column is the meaningless `Virtual`.
    name, facts = _options(item)
    return name, facts | {"type": "MultiSelectPicklist"}


def _navigation(item: Item) -> Fact:
    return item[_NAVIGATION], {"type": "Navigation"}


_CAST = "/Attributes/Microsoft.Dynamics.CRM."
_NAVIGATION = "ReferencingEntityNavigationPropertyName"
_ENTITY = {"$select": "EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled"}
_LENGTH = {"$select": "LogicalName,MaxLength"}
_OPTIONS = {"$select": "LogicalName", "$expand": "OptionSet($select=Options)"}

# Path beneath the table's own, query, and what one item of the answer tells of a column.
_PARTS: tuple[tuple[str, dict[str, str], Callable[[Item], Fact]], ...] = (
    ("/Attributes", {"$select": "LogicalName,AttributeType,IsValidForCreate,IsValidForUpdate,IsSecured"}, _type),
    (f"{_CAST}DateTimeAttributeMetadata", {"$select": "LogicalName,DateTimeBehavior"}, _date),
    (f"{_CAST}StringAttributeMetadata", _LENGTH, _length),
    (f"{_CAST}MemoAttributeMetadata", _LENGTH, _length),
    (f"{_CAST}PicklistAttributeMetadata", _OPTIONS, _options),
    (f"{_CAST}MultiSelectPicklistAttributeMetadata", _OPTIONS, _choices),
    (f"{_CAST}StateAttributeMetadata", _OPTIONS, _options),
    (f"{_CAST}StatusAttributeMetadata", _OPTIONS, _options),
    ("/ManyToOneRelationships", {"$select": _NAVIGATION}, _navigation),
)
