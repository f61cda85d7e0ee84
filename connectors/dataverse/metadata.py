"""What a table looks like in this environment: columns with lengths and options, navigation properties.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api
"""

from collections.abc import Iterable, Mapping
from typing import Any

from connectors.dataverse import odata
from connectors.dataverse.contract import TableDefinition, TableName
from connectors.dataverse.reading import Reader
from schemas.errors import CrmMisconfigured

_CAST = "/Attributes/Microsoft.Dynamics.CRM."
_WITH_LENGTH = ("StringAttributeMetadata", "MemoAttributeMetadata")
_WITH_OPTIONS = (
    "PicklistAttributeMetadata",
    "MultiSelectPicklistAttributeMetadata",
    "StateAttributeMetadata",
    "StatusAttributeMetadata",
)

Facts = Iterable[tuple[str, dict[str, object]]]
"""What is known of columns: name and facts, in any order, a column more than once."""


def fetch_table_definition(reader: Reader, table: TableName) -> TableDefinition:
    """The definition of a table; `CrmMisconfigured` where its entity set or primary key is named otherwise."""
    metadata = _TableMetadata(reader, table)
    entity = metadata.entity()
    if (entity.get("EntitySetName"), entity.get("PrimaryIdAttribute")) != (table.entity_set, table.primary_key):
        raise CrmMisconfigured(
            f"Table {table.logical_name} has another entity set or primary key than {table.entity_set} and"
            f" {table.primary_key}. Remedy: mend the table's declaration."
        )
    return TableDefinition(
        table,
        metadata.columns(),
        is_change_tracked=bool(entity.get("ChangeTrackingEnabled")),
        has_optimistic_concurrency=bool(entity.get("IsOptimisticConcurrencyEnabled")),
    )


class _TableMetadata:
    """Reads the metadata of one table."""

    def __init__(self, reader: Reader, table: TableName) -> None:
        self._reader = reader
        self._path = f"EntityDefinitions(LogicalName='{table.logical_name}')"
        self._label = f"GET metadata of {table.logical_name}"

    def entity(self) -> Mapping[str, Any]:
        names = "EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled"
        return next(iter(self._reader.pages(odata.read(self._path, {"$select": names}, label=self._label), ())))

    def columns(self) -> dict[str, dict[str, object]]:
        columns: dict[str, dict[str, object]] = {}
        for facts in (self._types(), self._dates(), self._lengths(), self._options(), self._navigations()):
            for name, more in facts:
                columns.setdefault(name, {}).update(more)
        return columns

    def _types(self) -> Facts:
        for item in self._items("/Attributes", "LogicalName,AttributeType"):
            yield item["LogicalName"], {"type": item["AttributeType"]}

    def _dates(self) -> Facts:
        for item in self._items(f"{_CAST}DateTimeAttributeMetadata", "LogicalName,DateTimeBehavior"):
            if (item.get("DateTimeBehavior") or {}).get("Value") == "DateOnly":
                yield item["LogicalName"], {"type": "DateOnly"}

    def _lengths(self) -> Facts:
        for kind in _WITH_LENGTH:
            for item in self._items(f"{_CAST}{kind}", "LogicalName,MaxLength"):
                yield item["LogicalName"], {"max_length": item["MaxLength"]}

    def _options(self) -> Facts:
        for kind in _WITH_OPTIONS:
            for item in self._items(f"{_CAST}{kind}", "LogicalName", expand="OptionSet($select=Options)"):
                values = [option["Value"] for option in (item.get("OptionSet") or {}).get("Options", [])]
                # The plain attribute type of a multi-select column is the meaningless `Virtual`.
                is_multiple = kind.startswith("MultiSelect")
                yield (
                    item["LogicalName"],
                    {"options": values} | ({"type": "MultiSelectPicklist"} if is_multiple else {}),
                )

    def _navigations(self) -> Facts:
        name = "ReferencingEntityNavigationPropertyName"
        for item in self._items("/ManyToOneRelationships", name):
            yield item[name], {"type": "Navigation"}

    def _items(self, part: str, select: str, *, expand: str | None = None) -> Iterable[dict[str, Any]]:
        query = {"$select": select} | ({"$expand": expand} if expand else {})
        return self._reader.rows(odata.read(f"{self._path}{part}", query, label=self._label), ())
