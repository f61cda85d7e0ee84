"""System jobs: work that a request starts and the server does later, `job_delay_s` of the emulated clock after.

A job is a row of asyncoperation, with what it is to do in `data`, so that it outlives a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from .columns import Row, Table
from .messages import Caller
from .refusals import Refused, invalid
from .state import Store
from .writes import create_row, delete_row

BULK_DELETE, PUBLISH_RULE = 13, 7
_READY, _LOCKED, _DONE, _FAILED = (0, 0), (2, 20), (3, 30), (3, 31)


def start_job(store: Store, name: str, operation: int, data: Row, caller: Caller) -> str:
    """Takes a job in and gives its id; with no delay it is done before the answer."""
    stamped = {**data, "user": caller.user_id}
    row = {"name": name, "operationtype": operation, "data": orjson.dumps(stamped).decode()}
    with store.transaction():
        job_id = create_row(store, store.data["asyncoperation"].table, row, _SERVER)
    if store.options.job_delay_s == 0:
        settle_jobs(store)
    return job_id


def settle_jobs(store: Store) -> None:
    """Moves jobs on: In Progress after half of their time, and done, with their work, after all of it."""
    jobs = store.data["asyncoperation"]
    now, delay = store.clock.seconds(), store.options.job_delay_s
    for job_id in jobs.ids_where("statecode", [_READY[0], _LOCKED[0]]):
        age = now - datetime.fromisoformat(jobs.rows[job_id]["createdon"]).timestamp()
        if age >= delay:
            _run(store, job_id)
        elif age >= delay / 2:
            with store.transaction():
                _move(store, job_id, _LOCKED)


def queried_ids(store: Store, query: Row) -> list[str]:
    """Ids that satisfy all conditions of a query expression; only Equal and In are understood."""
    rows = store.data.get(query.get("EntityName", ""))
    if rows is None:
        raise invalid("The entity of a query set was not found.", "0x80041102")
    found = set(rows.rows)
    for condition in query.get("Criteria", {}).get("Conditions", ()):
        name = condition.get("AttributeName")
        if condition.get("Operator") not in ("In", "Equal") or name not in rows.table.columns:
            raise invalid("The condition of a query set is not supported.", "0x80040203")
        values = [value.get("Value") for value in condition.get("Values", ())]
        found &= set(rows.ids_where(rows.table.columns[name].property_name, values))
    return sorted(found)


def _run(store: Store, job_id: str) -> None:
    job = store.data["asyncoperation"].rows[job_id]
    data = orjson.loads(job["data"])
    try:
        with store.transaction():
            succeeded = _WORK[job["operationtype"]](store, job_id, data)
    except Refused:
        succeeded = False
    with store.transaction():
        _move(store, job_id, _DONE if succeeded else _FAILED)


def _move(store: Store, job_id: str, state: tuple[int, int]) -> None:
    row = store.data["asyncoperation"].rows[job_id]
    if (row["statecode"], row["statuscode"]) != state:
        moved = {"statecode": state[0], "statuscode": state[1], "modifiedon": store.clock.stamp()}
        store.put("asyncoperation", job_id, {**row, **moved})


def _delete_in_bulk(store: Store, job_id: str, data: Row) -> bool:
    """Deletes what the query sets name, as who asked for it; rows that may not go are left and counted."""
    caller, counts = Caller(data["user"]), {True: 0, False: 0}
    for query in data["QuerySet"]:
        for row_id in queried_ids(store, query):
            counts[_delete_if_allowed(store, store.data[query["EntityName"]].table, row_id, caller)] += 1
    record = {"name": data["JobName"], "successcount": counts[True], "failurecount": counts[False]}
    bound = {"asyncoperationid@odata.bind": f"/asyncoperations({job_id})", "statecode": 3, "statuscode": 30}
    create_row(store, store.data["bulkdeleteoperation"].table, {**record, **bound}, _SERVER)
    return True


def _delete_if_allowed(store: Store, table: Table, row_id: str, caller: Caller) -> bool:
    try:
        with store.transaction():
            if row_id in store.data[table.logical].rows:
                delete_row(store, table, row_id, caller)
    except Refused:
        return False
    return True


def _publish_rule(store: Store, _job_id: str, data: Row) -> bool:
    rules = store.data["duplicaterule"]
    rule = rules.rows.get(data["rule"])
    if rule is None:
        return False
    store.put("duplicaterule", data["rule"], {**rule, "statecode": 1, "statuscode": 2})
    return True


_SERVER = Caller(trusted=True)
_WORK: dict[int, Callable[[Store, str, dict[str, Any]], bool]] = {
    BULK_DELETE: _delete_in_bulk,
    PUBLISH_RULE: _publish_rule,
}
