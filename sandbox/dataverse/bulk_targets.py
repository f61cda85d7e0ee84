"""The targets of a bulk call: that each is of the table's type, and which row it names."""

from __future__ import annotations

import re
from typing import Any

from .columns import Row, Table
from .keys import Located, locate
from .messages import Call
from .refusals import payload_error
from .state import Store, TableRows
from .urls import GUID

PREFIX = "Microsoft.Dynamics.CRM."
_REFERENCE = re.compile(r"^/?(?:.*/)?(\w+)\((.*)\)$", re.DOTALL)


def read_targets(call: Call, table: Table) -> list[Row]:
    targets = call.json().get("Targets")
    if not isinstance(targets, list) or not targets:
        raise payload_error("a list of Targets is expected")
    for target in targets:
        _check_type(target, table)
    return targets


def _check_type(target: Any, table: Table) -> None:
    declared = target.get("@odata.type") if isinstance(target, dict) else None
    if declared is None:
        raise payload_error("each target needs its @odata.type")
    if declared.removeprefix("#") != f"{PREFIX}{table.logical}":
        raise payload_error(f"the type '{declared}' is not assignable to '{PREFIX}{table.logical}'")


def id_in_body(table: Table, target: Row) -> str | None:
    value = target.get(table.id_column)
    if value is None:
        return None
    if not isinstance(value, str) or not GUID.match(value):
        raise payload_error(f"Cannot convert the literal '{value}' to the expected type 'Edm.Guid'.")
    return value.lower()


def located(store: Store, rows: TableRows, target: Row) -> Located:
    """The row that a target names by its reference, else by its id; a new one where it names none."""
    reference = target.get("@odata.id")
    if reference is None:
        return Located(id_in_body(rows.table, target), "")
    found = _REFERENCE.match(str(reference))
    if not found or found.group(1) != rows.table.set_name:
        raise payload_error("the @odata.id does not name a row of this table")
    return locate(store, rows, found.group(2), in_url=False)
