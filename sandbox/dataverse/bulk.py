"""CreateMultiple, UpdateMultiple, UpsertMultiple on standard tables: one transaction, no word on which row failed."""

from __future__ import annotations

from .bulk_targets import id_in_body, located, read_targets
from .columns import Row
from .elastic import MESSAGES as ELASTIC_MESSAGES
from .elastic import run_elastic
from .keys import Located
from .messages import Answer, Call, answer_json
from .refusals import Refused, duplicate_row, invalid
from .state import Store, TableRows
from .writes import create_row, update_row

MESSAGES = ("CreateMultiple", "UpdateMultiple", "UpsertMultiple")


def run_bulk(store: Store, call: Call, rows: TableRows, message: str) -> Answer:
    """Runs one bulk action over all its targets or over none."""
    table, options = rows.table, store.options
    most = options.max_bulk_rows
    if message == "DeleteMultiple" and not table.elastic:
        raise invalid("DeleteMultiple has not yet been implemented.", "0x80040800")
    if message not in ELASTIC_MESSAGES or not table.bulk:
        raise invalid(f"The message {message} is not supported for entity {table.logical}.", "0x80040800")
    targets = read_targets(call, table)
    if most is not None and len(targets) > most:
        raise Refused(500, "0x80044151", "SQL timeout expired.")
    if options.max_message_ms is not None and len(targets) * options.latency_ms_per_row > options.max_message_ms:
        raise Refused(options.message_timeout_status, "", "The message did not end in time.")
    if table.elastic:
        answer = run_elastic(store, call, rows, message, targets)
    else:
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
        row_id = id_in_body(rows.table, target)
        if row_id is None:
            raise invalid("The primary key is required in each target of UpdateMultiple.", "0x80040203")
        if row_id not in seen:
            seen.add(row_id)
            update_row(store, rows.table, row_id, target, call.caller)
    return Answer(204)


def _upsert(store: Store, call: Call, rows: TableRows, targets: list[Row]) -> Answer:
    named = [located(store, rows, target) for target in targets]
    _check_distinct(store, named)
    for place, target in zip(named, targets, strict=True):
        if place.row_id is not None and place.row_id in rows.rows:
            kept = {name: value for name, value in target.items() if name not in place.columns}
            update_row(store, rows.table, place.row_id, kept, call.caller)
        elif any(name in target for name in place.columns):
            raise invalid("An unexpected error occurred.", "0x80040216")
        else:
            create_row(store, rows.table, {**place.values, **target}, call.caller)
    return Answer(204)


def _check_distinct(store: Store, named: list[Located]) -> None:
    """Refused where two targets name one row, by id or by key values that the collation takes for the same."""
    ids = [place.row_id for place in named if place.row_id is not None]
    keys = [
        tuple((name, store.collation.fold(str(value))) for name, value in place.values.items())
        for place in named
        if place.row_id is None and place.values
    ]
    if len(set(ids)) != len(ids) or len(set(keys)) != len(keys):
        raise duplicate_row()


_ACTIONS = {"CreateMultiple": _create, "UpdateMultiple": _update, "UpsertMultiple": _upsert}
