"""What a client's metadata payload means: the stored form of a column or table, and the Column or Table it stands for.

Pure: the store replays stored definitions from its journal, provisioning.py makes new ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .columns import Column, Row, Table, table
from .refusals import payload_error

CAST = "Microsoft.Dynamics.CRM."
_KINDS = ("String", "Memo", "Integer", "Decimal", "Double", "Boolean", "DateTime", "Picklist")
_DEFAULT_LENGTHS = {"String": 100, "Memo": 2000}


def column_definition(body: Row) -> Row:
    """The stored form of a column; Refused for a type that is not understood, or a name without a prefix."""
    kind = _kind_of(body)
    schema_name = str(body.get("SchemaName") or "")
    if kind not in _KINDS or "_" not in schema_name:
        raise payload_error("a column needs a known attribute type and a SchemaName with a publisher's prefix")
    return {
        "schemaname": schema_name,
        "kind": "DateOnly" if kind == "DateTime" and body.get("Format") == "DateOnly" else kind,
        "maxlength": body.get("MaxLength", _DEFAULT_LENGTHS[kind]) if kind in _DEFAULT_LENGTHS else None,
        "options": options_of(body.get("OptionSet") or {}) if kind == "Picklist" else None,
    }


def table_definition(body: Row) -> Row:
    """The stored form of a table with its columns; Refused without a prefix or without a primary name."""
    schema_name, attributes = str(body.get("SchemaName") or ""), body.get("Attributes") or []
    primary = [column for column in attributes if column.get("IsPrimaryName")]
    if "_" not in schema_name or len(primary) != 1:
        raise payload_error("a table needs a SchemaName with a publisher's prefix and one column that IsPrimaryName")
    return {
        "schemaname": schema_name,
        "primaryname": str(primary[0].get("SchemaName")).lower(),
        "columns": [column_definition(column) for column in attributes],
        "tracked": bool(body.get("ChangeTrackingEnabled", False)),
        "elastic": body.get("TableType") == "Elastic",
    }


def column_of(definition: Row, present: Column | None = None) -> Column:
    """The column that a definition makes, or changes where the table has it already."""
    if present is not None:
        return replace(present, max_length=definition["maxlength"])
    options = definition["options"]
    return Column(
        definition["schemaname"].lower(),
        definition["kind"],
        max_length=definition["maxlength"],
        options=None if options is None else dict(options),
        schema_name=definition["schemaname"],
    )


def table_of(definition: Row) -> Table:
    """The table that a definition makes. Its set is the logical name and `s`, or `es` after an s."""
    schema_name = definition["schemaname"]
    logical = schema_name.lower()
    return table(
        logical,
        logical + ("es" if logical.endswith("s") else "s"),
        definition["primaryname"],
        *(column_of(column) for column in definition["columns"]),
        change_tracking=definition["tracked"],
        elastic=definition["elastic"],
        schema_name=schema_name,
    )


def options_of(option_set: Row) -> list[tuple[int, str]]:
    """The options of an OptionSetMetadata as (value, label)."""
    return [(option["Value"], text_of(option.get("Label"))) for option in option_set.get("Options") or []]


def text_of(label: Any) -> str:
    """The first localised text of a Label, empty without one."""
    localised = (label or {}).get("LocalizedLabels") or [{}]
    return str(localised[0].get("Label", ""))


def _kind_of(body: Row) -> str:
    declared = str(body.get("@odata.type", "")).removeprefix("#").removeprefix(CAST)
    return declared.removeprefix("Complex").removesuffix("AttributeMetadata")
