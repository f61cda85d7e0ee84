"""Reading rows: one by key, or a collection filtered, ordered, counted and paged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .columns import Row, Table
from .expanding import expanding_renderer
from .filters import Condition, parse_filter
from .messages import Answer, Call, answer_json
from .paging import MOST_ROWS, Pages, next_link, page_size
from .privileges import demand
from .refusals import invalid, unknown_property
from .rendering import etag_of
from .state import Store, TableRows
from .urls import existing, parse_query


def read_row(store: Store, call: Call, rows: TableRows, row_id: str) -> Answer:
    """One row; 304 where If-None-Match names its version, which goes with neither `$expand` nor annotations."""
    demand(store, call.caller, "Read", rows.table)
    row = existing(rows, row_id)
    options = parse_query(call.query)
    whole = "$expand" not in options and not call.annotations
    if whole and call.precondition("if-none-match") == row["versionnumber"]:
        return Answer(304, {"ETag": etag_of(row)})
    render = expanding_renderer(store, rows.table, options, call.annotations, call.caller)
    context = {"@odata.context": f"{call.base_url}$metadata#{rows.table.set_name}/$entity"}
    return answer_json({**context, **render(row)}, headers={"ETag": etag_of(row), **applied(call)})


def read_property(store: Store, call: Call, rows: TableRows, row_id: str, name: str) -> Answer:
    demand(store, call.caller, "Read", rows.table)
    row = existing(rows, row_id)
    if name not in rows.table.readable:
        raise unknown_property(rows.table.logical, name)
    if row.get(name) is None:
        return Answer(204)
    context = f"{call.base_url}$metadata#{rows.table.set_name}({row_id})/{name}"
    return answer_json({"@odata.context": context, "value": row[name]})


def read_rows(store: Store, pages: Pages, call: Call, rows: TableRows) -> Answer:
    """A page of a collection, with a link to the next one where there is more."""
    options = parse_query(call.query)
    demand(store, call.caller, "Read", rows.table)
    condition = _condition(store, rows.table, options)
    page = pages.turn(options.get("$skiptoken"), lambda: matching_ids(rows, condition, options.get("$orderby")))
    size = page_size(call, options.get("$top"))
    chunk = page.ids[page.start : page.start + size]
    found = (rows.rows.get(row_id) for row_id in chunk)
    render = expanding_renderer(store, rows.table, options, call.annotations, call.caller)
    value = [render(row) for row in found if row is not None and condition.holds(row)]
    body: Row = {"@odata.context": _context(call, rows.table, options)}
    if options.get("$count") == "true":
        body.update(_count(len(page.ids), call))
    body["value"] = value
    if len(page.ids) > page.start + size and ("$top" not in options or "maxpagesize" in call.prefer):
        body["@odata.nextLink"] = next_link(call, page, size)
    answer = answer_json(body, headers=applied(call))
    answer.rows = len(value)
    return answer


def count_rows(store: Store, call: Call, rows: TableRows) -> Answer:
    """`/$count`: a bare number, never above 5000."""
    demand(store, call.caller, "Read", rows.table)
    ids = matching_ids(rows, _condition(store, rows.table, parse_query(call.query)), None)
    return Answer(200, {"Content-Type": "text/plain"}, str(min(len(ids), MOST_ROWS)).encode())


def matching_ids(rows: TableRows, condition: Condition, orderby: str | None) -> list[str]:
    """The ids of the rows that satisfy a condition, in the order asked for, else in that of creation."""
    if condition.equals is None:
        ids = [row_id for row_id, row in rows.rows.items() if condition.holds(row)]
    else:
        ids = [row_id for row_id in _narrowed(rows, condition.equals) if condition.holds(rows.rows[row_id])]
    for name, descending in reversed(_ordering(rows.table, orderby)):
        ids.sort(key=lambda row_id: _sort_key(rows, rows.rows[row_id].get(name)), reverse=descending)
    return ids


def applied(call: Call) -> dict[str, str]:
    """The Preference-Applied header for what a read honours."""
    honoured = [part.strip() for part in call.prefer.split(",") if "maxpagesize" in part or "include-annot" in part]
    return {"Preference-Applied": ",".join(honoured)} if honoured else {}


def _narrowed(rows: TableRows, alternatives: list[tuple[str, list[Any]]]) -> Iterable[str]:
    """Ids of the rows with one of the values, each once, sorted by id where an index was asked."""
    if len(alternatives) == 1 and alternatives[0][0] == rows.table.id_column:
        return [row_id for row_id in dict.fromkeys(alternatives[0][1]) if row_id in rows.rows]
    return sorted({row_id for name, values in alternatives for row_id in rows.ids_where(name, values)})


def _condition(store: Store, table: Table, options: dict[str, str]) -> Condition:
    text = options.get("$filter")
    if text is None:
        return Condition(lambda _row: True)
    kinds = {name: column.kind for name, column in table.readable.items()}
    aliases = {name: value for name, value in options.items() if name.startswith("@")}
    return parse_filter(text, kinds, store.collation, aliases=aliases, type_name=table.logical)


def _ordering(table: Table, orderby: str | None) -> list[tuple[str, bool]]:
    parts = []
    for part in (orderby or "").split(","):
        name, _, direction = part.strip().partition(" ")
        if not name:
            continue
        if name not in table.readable:
            raise unknown_property(table.logical, name)
        if direction.strip() not in ("", "asc", "desc"):
            raise invalid("Syntax error in the $orderby expression.", "0x80060888")
        parts.append((name, direction.strip() == "desc"))
    return parts


def _sort_key(rows: TableRows, value: Any) -> tuple[bool, Any]:
    return value is not None, rows.collation.fold(value) if isinstance(value, str) else value


def _count(total: int, call: Call) -> Row:
    body: Row = {"@odata.count": min(total, MOST_ROWS)}
    if call.annotations:
        body["@Microsoft.Dynamics.CRM.totalrecordcount"] = min(total, MOST_ROWS)
        body["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] = total > MOST_ROWS
    return body


def _context(call: Call, table: Table, options: dict[str, str]) -> str:
    select = options.get("$select")
    return f"{call.base_url}$metadata#{table.set_name}" + (f"({select})" if select else "")
