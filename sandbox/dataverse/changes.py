"""Change tracking: the first full read, the delta link, and what changed since."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote_plus

from .clock import days_later
from .columns import ORGANIZATION, Row
from .messages import Answer, Call, answer_json
from .paging import Page, Pages, next_link, page_size
from .privileges import demand
from .refusals import Refused, invalid
from .rendering import row_renderer
from .state import Store, TableRows
from .urls import parse_query

_TOKEN = re.compile(r"^(\d+)!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)$")
_FOLLOWED = 'istracking="True"'
_UNSUPPORTED = ("$filter", "$orderby", "$expand", "$top")
DEFAULT_DAYS_KEPT = 7


def wants_changes(call: Call) -> bool:
    """Whether a read of a collection begins, continues or follows change tracking."""
    return "odata.track-changes" in call.prefer or "deltatoken" in call.query or _FOLLOWED in unquote_plus(call.query)


def read_changes(store: Store, pages: Pages, call: Call, rows: TableRows, count_only: bool = False) -> Answer:
    """All rows, or new and updated ones and then the deleted, with a delta link on the last page."""
    options = parse_query(call.query)
    demand(store, call.caller, "Read", rows.table)
    _check_options(rows, options)
    token = options.get("$deltatoken")
    known = _known_version(store, token) if token else None
    page = pages.turn(options.get("$skiptoken"), lambda: _ids(rows, known), since=store.version)
    if count_only:
        return Answer(200, {"Content-Type": "text/plain"}, str(len(page.ids)).encode())
    return _page(store, call, rows, page, known)


def _page(store: Store, call: Call, rows: TableRows, page: Page, known: int | None) -> Answer:
    options = parse_query(call.query)
    select, size = options.get("$select"), page_size(call, None)
    render = row_renderer(store, rows.table, select, call.annotations)
    chunk = page.ids[page.start : page.start + size]
    value = [
        render(rows.rows[row_id]) if row_id in rows.rows else _deleted(call, rows, row_id)
        for row_id in chunk
        if row_id in rows.rows or known is not None
    ]
    columns = f"({select})" if select else ""
    context = f"{call.base_url}$metadata#{rows.table.set_name}{columns}" + ("/$delta" if known is not None else "")
    body: Row = {"@odata.context": context, "value": value}
    if len(page.ids) > page.start + size:
        body["@odata.nextLink"] = next_link(call, page, size)
    else:
        body["@odata.deltaLink"] = _delta_link(store, call, rows, page.since, select)
    answer = answer_json(body)
    if "odata.track-changes" in call.prefer:
        answer.headers["Preference-Applied"] = "odata.track-changes"
    answer.rows = len(value)
    return answer


def _ids(rows: TableRows, known: int | None) -> list[str]:
    """Every id; or those written after a version, then those deleted after it, each in the order of their versions."""
    if known is None:
        return list(rows.rows)
    written = [(row["versionnumber"], row_id) for row_id, row in rows.rows.items() if row["versionnumber"] > known]
    deleted = [(version, row_id) for row_id, version in rows.gone.items() if version > known]
    return [row_id for _, row_id in [*sorted(written), *sorted(deleted)]]


def _deleted(call: Call, rows: TableRows, row_id: str) -> Row:
    context = f"{call.base_url}$metadata#{rows.table.set_name}/$deletedEntity"
    return {"@odata.context": context, "id": row_id, "reason": "deleted"}


def _delta_link(store: Store, call: Call, rows: TableRows, version: int, select: str | None) -> str:
    token = quote(f"{version}!{store.clock.now().strftime('%m/%d/%Y %H:%M:%S')}", safe="").lower()
    columns = f"$select={quote(select, safe=',')}&" if select else ""
    return f"{call.base_url}{rows.table.set_name}?{columns}$deltatoken={token}"


def _check_options(rows: TableRows, options: dict[str, str]) -> None:
    if not rows.table.change_tracking:
        raise invalid(f"Entity {rows.table.logical} does not have change tracking enabled.", "0x80044335")
    for name in _UNSUPPORTED:
        if name in options:
            message = f'The "${{{name}}}" query parameter isn\'t supported when Change Tracking is enabled.'
            raise invalid(message, "0x80060888")


def _known_version(store: Store, token: str) -> int:
    """The version in a token; Refused when it is older than the organisation keeps changes, or not of this life."""
    found = _TOKEN.match(token)
    if not found:
        raise invalid("The delta token is malformed.", "0x80060888")
    taken_at = datetime.strptime(found.group(2), "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
    organisation = store.data["organization"].rows.get(ORGANIZATION, {})
    days = organisation.get("expirechangetrackingindays", DEFAULT_DAYS_KEPT)
    if store.clock.now() > days_later(taken_at, days) or int(found.group(1)) > store.version:
        message = "Version stamp associated with the client has expired. Please perform a full sync."
        raise Refused(400, "0x80044352", message)
    return int(found.group(1))
