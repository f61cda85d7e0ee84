"""The protocol of paged REST services, without I/O: which request comes first, and which follows an answer.

Every address that an answer names is held against the base address: another scheme, host or port is refused, so that
no answer can send us, and our credentials, anywhere else.
"""

import re
from collections.abc import Mapping as AnyMapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import jmespath
import jmespath.exceptions

from connectors.fetching import Read
from connectors.windows import PullWindow
from schemas.errors import MappingError, SourceError
from schemas.rest import RestShape, RestWindow

_LINK = re.compile(r'<([^<>]*)>\s*;[^,]*?\brel\s*=\s*"?[^",]*\bnext\b', re.IGNORECASE)


def first_read(shape: RestShape, days: PullWindow) -> Read:
    """The request for the first page of a window."""
    paging = shape.paging
    params = {**shape.params, **_window_params(shape.window, days)}
    if paging.size_param is not None:
        params[paging.size_param] = str(paging.page_rows)
    if paging.kind in ("page", "offset"):
        params[str(paging.param)] = str(paging.first)
    base = shape.base_url if shape.base_url.endswith("/") else f"{shape.base_url}/"
    return Read(within(shape, urljoin(base, shape.path)), params, {"Accept": "application/json", **shape.headers})


def next_read(shape: RestShape, read: Read, body: Any, headers: AnyMapping[str, str], *, rows: int) -> Read | None:
    """The request for the page after `read`, which gave `rows` new records; None where there is no other."""
    paging = shape.paging
    match paging.kind:
        case "page" | "offset" if rows:
            step = 1 if paging.kind == "page" else rows
            name = str(paging.param)
            return replace(read, params={**read.params, name: str(int(read.params[name]) + step)})
        case "cursor":
            cursor = found_at(str(paging.next_path), body)
            return None if cursor in (None, "", False) else _with_cursor(read, str(paging.param), str(cursor))
        case "next_url":
            return _following(shape, read, found_at(str(paging.next_path), body))
        case "link":
            linked = _LINK.search(headers.get("Link", ""))
            return _following(shape, read, linked[1] if linked else None)
    return None


def records_in(shape: RestShape, body: Any) -> list[dict[str, Any]]:
    """The records of an answer. Raises SourceError where there is no list of objects: an answer without one tells nothing,
    and not that there are no records.
    """
    found = found_at(shape.records, body)
    if found is None and _is_emptied(shape.records, body):
        return []
    rows = list(found.values()) if isinstance(found, dict) and _is_by_id(found) else found
    if isinstance(rows, dict):
        rows = [rows]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceError(
            f"The answer has no list of records at {shape.records!r}. Check rest.records in the mapping; of a service that"
            " leaves an empty list out, let it end with `|| `[]``."
        )
    return rows


def _is_emptied(path: str, body: Any) -> bool:
    """Whether what leads to the records is an empty list: so PHP writes an object that has nothing in it."""
    ways = ["@", *(path[:at] for at, sign in enumerate(path) if sign == ".")]
    for way in ways:
        with suppress(MappingError):  # a point within quotation marks ends no path
            if found_at(way, body) == []:
                return True
    return False


def found_at(path: str, body: Any) -> Any:
    """What a JMESPath finds. Raises MappingError where the path is none."""
    try:
        return jmespath.search(path, body)
    except jmespath.exceptions.JMESPathError:
        raise MappingError(f"{path!r} is not a JMESPath that can be used on the answer. Correct it in rest.") from None


def within(shape: RestShape, address: str) -> str:
    """The address, if it is of the base's scheme, host and port. Raises SourceError."""
    try:
        asked, base = _origin(address), _origin(shape.base_url)
    except ValueError:
        asked, base = ("", None, None), ("?", None, None)
    if asked != base:
        raise SourceError(
            "The service sends us to another host than rest.base_url names; nothing was asked of it. Check with its"
            " owner, and correct base_url if the service has moved."
        )
    return address


def resolved(shape: RestShape, read: Read, address: str) -> str:
    """What an answer's address means beside the request's own, if that is within. Raises SourceError."""
    try:
        whole = urljoin(read.url, address)
    except ValueError:
        whole = address
    return within(shape, whole)


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise ValueError("a user in the address")
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _following(shape: RestShape, read: Read, address: Any) -> Read | None:
    """The request for an address that an answer named; it says all parameters itself."""
    if address in (None, "", False):
        return None
    if not isinstance(address, str):
        raise SourceError(
            f"What stands at {shape.paging.next_path!r} is not an address. Check rest.paging in the mapping."
        )
    whole = resolved(shape, read, address)
    if (whole, {}) == (read.url, dict(read.params)):
        raise SourceError("The service names the same page as the next one, again and again. Tell its owner.")
    return replace(read, url=whole, params={})


def _with_cursor(read: Read, name: str, cursor: str) -> Read:
    if read.params.get(name) == cursor:
        raise SourceError("The service gives the same cursor again and again. Tell its owner.")
    return replace(read, params={**read.params, name: cursor})


def _is_by_id(found: dict[str, Any]) -> bool:
    """Whether an object is records by their ids (https://lyyti.readme.io gives participants so)."""
    return bool(found) and all(isinstance(value, dict) for value in found.values())


def _window_params(window: RestWindow, days: PullWindow) -> dict[str, str]:
    bounds = ((window.since, days.since), (window.until, days.until))
    return {name: _written(instant, window) for name, instant in bounds if name is not None}


def _written(instant: datetime, window: RestWindow) -> str:
    match window.format:
        case "date":
            return instant.date().isoformat()
        case "unix":
            return str(int(instant.timestamp()))
        case "unix_ms":
            return str(int(instant.timestamp() * 1000))
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
