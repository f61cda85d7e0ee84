"""Metadata of materialisations: tables of counts, windows, pictures. Counts and names of columns only, no row values."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from schemas.records import Window

_TYPES = {bool: "bool", int: "int", float: "float"}


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """A table of plain values, its columns in the order given; instants and ids as text."""
    records = [{name: _plain(row[name]) for name in columns} for row in rows]
    kinds = [_TYPES.get(type(records[0][name]), "string") if records else "string" for name in columns]
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in zip(columns, kinds, strict=True)])
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records], schema=schema)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else "" if value is None else str(_number(value))


def _number(value: Any) -> Any:
    return int(value) if hasattr(value, "as_integer_ratio") and value == value.to_integral_value() else value


def picture(png: bytes, caption: str) -> dg.MarkdownMetadataValue:
    """A PNG within the metadata itself, so that the UI shows it wherever the run was."""
    return dg.MetadataValue.md(f"![{caption}](data:image/png;base64,{base64.b64encode(png).decode()})")


def window(days: Window) -> str:
    """The days of a run."""
    return str(days.first_on) if days.first_on == days.last_on else f"{days.first_on} to {days.last_on}"
