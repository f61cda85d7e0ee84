"""Elastic tables: each target of a bulk call stands for itself, and an upsert puts a whole row in place of the old one.

How each target fared is told in the error's annotations, where they are asked for.
"""

from __future__ import annotations

import orjson

from .bulk_targets import id_in_body, located
from .columns import Row
from .messages import Answer, Call, answer_json
from .refusals import Refused, invalid
from .state import Store, TableRows
from .writes import create_row, delete_row, replace_row, update_row

MESSAGES = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple")


def run_elastic(store: Store, call: Call, rows: TableRows, message: str, targets: list[Row]) -> Answer:
    """Runs each target by itself; Refused, with what each came to, where any of them failed."""
    fates: list[Row] = []
    failure: Refused | None = None
    for number, target in enumerate(targets):
        try:
            with store.transaction():
                row_id, status = _ACTIONS[message](store, call, rows, target), 200
        except Refused as refused:
            failure, row_id, status = failure or refused, id_in_body(rows.table, target) or "", refused.status
        fates.append({"RequestIndex": number, "Id": row_id, "StatusCode": status})
    if failure is not None:
        details = {"Plugin.BulkApiErrorDetails": orjson.dumps(fates).decode()}
        raise Refused(failure.status, failure.code, failure.message, **details)
    if message != "CreateMultiple":
        return Answer(204)
    context = f"{call.base_url}$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
    return answer_json({"@odata.context": context, "Ids": [fate["Id"] for fate in fates]})


def _create(store: Store, call: Call, rows: TableRows, target: Row) -> str:
    return create_row(store, rows.table, target, call.caller)


def _update(store: Store, call: Call, rows: TableRows, target: Row) -> str:
    row_id = _needed_id(rows, target)
    update_row(store, rows.table, row_id, target, call.caller)
    return row_id


def _upsert(store: Store, call: Call, rows: TableRows, target: Row) -> str:
    row_id = located(store, rows, target).row_id
    if row_id in rows.rows:
        replace_row(store, rows.table, str(row_id), target, call.caller)
        return str(row_id)
    return create_row(store, rows.table, {**target, **({rows.table.id_column: row_id} if row_id else {})}, call.caller)


def _delete(store: Store, call: Call, rows: TableRows, target: Row) -> str:
    row_id = _needed_id(rows, target)
    delete_row(store, rows.table, row_id, call.caller)
    return row_id


def _needed_id(rows: TableRows, target: Row) -> str:
    row_id = id_in_body(rows.table, target)
    if row_id is None:
        raise invalid("The primary key is required in each target.", "0x80040203")
    return row_id


_ACTIONS = {"CreateMultiple": _create, "UpdateMultiple": _update, "UpsertMultiple": _upsert, "DeleteMultiple": _delete}
