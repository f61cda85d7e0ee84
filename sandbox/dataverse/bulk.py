"""CreateMultiple, UpdateMultiple, UpsertMultiple on standard tables: one transaction, no word on which row failed."""

from __future__ import annotations

import re
from typing import Any

from .columns import Row, Table
from .keys import Located, locate
from .messages import Answer, Call, answer_json
from .refusals import Refused, duplicate_row, invalid, payload_error
from .state import Store, TableRows
from .urls import GUID
from .writes import create_row, update_row

PREFIX = "Microsoft.Dynamics.CRM."
_REFERENCE = re.compile(r"^/?(?:.*/)?(\w+)\((.*)\)$", re.DOTALL)
MESSAGES = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple")


def run_bulk(store: Store, call: Call, rows: TableRows, message: str) -> Answer:
    """Runs one bulk action over all its targets or over none."""
    table = rows.table
    if message == "DeleteMultiple":
        raise invalid("DeleteMultiple has not yet been implemented.", "0x80040800")
    if message not in MESSAGES or not table.bulk:
        raise invalid(f"The message {message} is not supported for entity {table.logical}.", "0x80040800")
    targets = _targets(call, table)
    if store.max_bulk_rows is not None and len(targets) > store.max_bulk_rows:
        raise Refused(500, "0x80044151", "SQL timeout expired.")
    with store.transaction():
        answer = _ACTIONS[message](store, call, rows, targets)
    answer.rows = len(targets)
    return answer


def _create(store: Store, call: Call, rows: TableRows, targets: list[Row]) -> Answer:
    ids = [create_row(store, rows.table, target, call.caller) for target in targets]
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
    return answer_json({"@odata.context": context, "Ids": ids})


def _update(store: Store, call: Call, rows: TableRows, targets: list[Row]) -> Answer:
    """The first target of an id is applied; any later one is passed over in silence, as the server does."""
    seen = set()
    for target in targets:
        row_id = _id_in_body(rows.table, target)
        if row_id is None:
            raise invalid("The primary key is required in each target of UpdateMultiple.", "0x80040203")
        if row_id not in seen:
            seen.add(row_id)
            update_row(store, rows.table, row_id, target, call.caller)
    return Answer(204)


def _upsert(store: Store, call: Call, rows: TableRows, targets: list[Row]) -> Answer:
    named = [_located(store, rows, target) for target in targets]
    _check_distinct(store, named)
    for located, target in zip(named, targets, strict=True):
        if located.row_id is not None and located.row_id in rows.rows:
            kept = {name: value for name, value in target.items() if name not in located.columns}
            update_row(store, rows.table, located.row_id, kept, call.caller)
        elif any(name in target for name in located.columns):
            raise invalid("An unexpected error occurred.", "0x80040216")
        else:
            create_row(store, rows.table, {**located.values, **target}, call.caller)
    return Answer(204)


def _check_distinct(store: Store, named: list[Located]) -> None:
    """Refused where two targets name one row, by id or by key values that the collation takes for the same."""
    ids = [located.row_id for located in named if located.row_id is not None]
    keys = [
        tuple((name, store.collation.fold(str(value))) for name, value in located.values.items())
        for located in named
        if located.row_id is None and located.values
    ]
    if len(set(ids)) != len(ids) or len(set(keys)) != len(keys):
        raise duplicate_row()


def _targets(call: Call, table: Table) -> list[Row]:
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


def _id_in_body(table: Table, target: Row) -> str | None:
    value = target.get(table.id_column)
    if value is None:
        return None
    if not isinstance(value, str) or not GUID.match(value):
        raise payload_error(f"Cannot convert the literal '{value}' to the expected type 'Edm.Guid'.")
    return value.lower()


def _located(store: Store, rows: TableRows, target: Row) -> Located:
    """The row that a target names by its reference, else by its id; a new one where it names none."""
    reference = target.get("@odata.id")
    if reference is None:
        return Located(_id_in_body(rows.table, target), "")
    found = _REFERENCE.match(str(reference))
    if not found or found.group(1) != rows.table.set_name:
        raise payload_error("the @odata.id does not name a row of this table")
    return locate(store, rows, found.group(2), in_url=False)


_ACTIONS = {"CreateMultiple": _create, "UpdateMultiple": _update, "UpsertMultiple": _upsert}
