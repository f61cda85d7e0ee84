"""Requests for one row: POST, PATCH with its preconditions, DELETE, and single properties and references."""

from __future__ import annotations

from .columns import Row, Table
from .keys import Located, located_id
from .messages import Answer, Call, answer_json
from .refusals import Refused, no_concurrency, undeclared_bind, unknown_property
from .rendering import etag_of, row_renderer
from .state import Store, TableRows
from .urls import existing, parse_query
from .writes import check_version, create_row, delete_row, update_row


def post_row(store: Store, call: Call, rows: TableRows) -> Answer:
    """Create: 204, or 201 with the row where a representation is preferred."""
    with store.transaction():
        row_id = create_row(store, rows.table, call.json(), call.caller)
    answer = written(store, call, rows, row_id, status=201)
    answer.headers["Location"] = answer.headers["OData-EntityId"]
    return answer


def patch_row(store: Store, call: Call, rows: TableRows, located: Located) -> Answer:
    """Upsert: which of create and update is allowed is for If-Match and If-None-Match to say.

    By an alternate key the key's columns in the body are dropped on an update, and win over the URL on a create.
    """
    payload = call.json()
    old = rows.rows.get(located.row_id or "")
    must_match, must_miss = call.precondition("if-match"), call.precondition("if-none-match")
    if isinstance(must_match, int) and not rows.table.optimistic_concurrency:
        raise no_concurrency(rows.table.logical)
    if old is None and must_match is not None:
        located_id(rows, located)
    if old is not None and must_miss == "*":
        raise Refused(412, "0x80040237", "A record with matching key values already exists.")
    with store.transaction():
        if old is None:
            row_id = create_row(store, rows.table, {**located.values, **payload}, call.caller)
        else:
            check_version(old, must_match)
            row_id = located.row_id or ""
            kept = {name: value for name, value in payload.items() if name not in located.columns}
            update_row(store, rows.table, row_id, kept, call.caller)
    answer = written(store, call, rows, row_id, status=201 if old is None else 200)
    if located.columns:
        answer.headers["OData-EntityId"] = f"{call.base_url}{rows.table.set_name}({located.text})"
    return answer


def delete(store: Store, call: Call, rows: TableRows, row_id: str) -> Answer:
    check_version(existing(rows, row_id), call.precondition("if-match"))
    with store.transaction():
        delete_row(store, rows.table, row_id, call.caller)
    return Answer(204)


def put_property(store: Store, call: Call, rows: TableRows, row_id: str, name: str) -> Answer:
    """PUT a value, or DELETE it, on one property of a row."""
    existing(rows, row_id)
    if name not in rows.table.columns:
        raise unknown_property(rows.table.logical, name)
    value = call.json().get("value") if call.method == "PUT" else None
    with store.transaction():
        update_row(store, rows.table, row_id, {name: value}, call.caller)
    return Answer(204)


def put_reference(store: Store, call: Call, rows: TableRows, row_id: str, navigation: str) -> Answer:
    """PUT or DELETE `<navigation>/$ref`: binds or clears a lookup."""
    existing(rows, row_id)
    if navigation not in rows.table.navigations:
        raise undeclared_bind(rows.table.logical, navigation)
    target = call.json().get("@odata.id") if call.method == "PUT" else None
    with store.transaction():
        update_row(store, rows.table, row_id, {f"{navigation}@odata.bind": target}, call.caller)
    return Answer(204)


def written(store: Store, call: Call, rows: TableRows, row_id: str, *, status: int) -> Answer:
    """204, or `status` with the row as it now is."""
    url = f"{call.base_url}{rows.table.set_name}({row_id})"
    if not call.wants_representation:
        return Answer(204, {"OData-EntityId": url})
    row = rows.rows[row_id]
    answer = answer_json(_representation(store, call, rows.table, row), status)
    answer.headers.update({"OData-EntityId": url, "ETag": etag_of(row), "Preference-Applied": "return=representation"})
    return answer


def _representation(store: Store, call: Call, table: Table, row: Row) -> Row:
    select = parse_query(call.query).get("$select")
    render = row_renderer(store, table, select, call.annotations)
    return {"@odata.context": f"{call.base_url}$metadata#{table.set_name}/$entity", **render(row)}
