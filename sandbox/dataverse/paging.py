"""Pages: cursors over results, the opaque cookie that continues them, page sizes and links."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote
from uuid import uuid4

from .messages import Call
from .refusals import invalid

MOST_ROWS = 5000
_CURSORS_KEPT = 200
_COOKIE = re.compile(r'^<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(True|False)" />$')
_CURSOR = re.compile(r'^<cookie page="(\d+)"><at start="(\d+)" since="(-?\d+)" id="{([0-9a-f-]+)}" /></cookie>$')


@dataclass
class Page:
    """A place in a result: its ids in order, where this page starts, and the version at which the result was taken."""

    cursor: str
    ids: list[str]
    start: int = 0
    since: int = -1
    number: int = 1


class Pages:
    """Results that may be continued. A cursor lost by a restart is taken again from the same query."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[str]] = OrderedDict()

    def turn(self, token: str | None, query: Callable[[], list[str]], *, since: int = -1) -> Page:
        """The page that a skip token points at, or the first one of a fresh query."""
        if token is None:
            page = Page(str(uuid4()), query(), since=since)
        else:
            page = _read_cookie(token)
            page.ids = self._kept[page.cursor] if page.cursor in self._kept else query()
        self._kept[page.cursor] = page.ids
        if len(self._kept) > _CURSORS_KEPT:
            self._kept.popitem(last=False)
        return page


def page_size(call: Call, top: str | None) -> int:
    """`maxpagesize` beats `$top`; neither goes above 5000."""
    preferred = re.search(r"odata\.maxpagesize\s*=\s*(\d+)", call.prefer)
    size = int(preferred.group(1)) if preferred else _top(top)
    return max(1, min(size, MOST_ROWS))


def next_link(call: Call, page: Page, size: int) -> str:
    """The URL of the following page: the query as it came, with a cookie that is encoded twice inside."""
    place = f'start="{page.start + size}" since="{page.since}" id="{{{page.cursor}}}"'
    inner = f'<cookie page="{page.number}"><at {place} /></cookie>'
    signed = f"{quote(quote(inner))}.{_sum(inner)}"
    tracking = page.since >= 0
    cookie = f'<cookie pagenumber="{page.number + 1}" pagingcookie="{signed}" istracking="{tracking}" />'
    kept = [pair for pair in call.query.split("&") if pair and not pair.startswith(("$skiptoken", "%24skiptoken"))]
    return f"{call.base_url}{call.path.lstrip('/')}?" + "&".join([*kept, f"$skiptoken={quote(cookie)}"])


def _top(top: str | None) -> int:
    if top is None:
        return MOST_ROWS
    if not top.isdigit() or int(top) == 0:
        raise invalid("Invalid value for $top.", "0x80060888")
    return int(top)


def _read_cookie(token: str) -> Page:
    outer = _COOKIE.match(token)
    encoded, _, total = outer.group(2).rpartition(".") if outer else ("", "", "")
    inner = unquote(unquote(encoded))
    found = _CURSOR.match(inner)
    if not outer or not found or total != _sum(inner):
        raise invalid("Malformed paging cookie: follow the link exactly as it was given.", "0x80060887")
    start, since, cursor = int(found.group(2)), int(found.group(3)), found.group(4)
    return Page(cursor, [], start, since, int(outer.group(1)))


def _sum(inner: str) -> str:
    return hashlib.sha256(inner.encode()).hexdigest()[:12]
