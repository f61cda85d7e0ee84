"""Reading tables: pages, rows by id, changes since a delta link.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query/page-results
https://learn.microsoft.com/power-apps/developer/data-platform/use-change-tracking-synchronize-data-external-systems
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from connectors.dataverse import odata
from connectors.dataverse.contract import ChangePage, TableName, canonical_id
from connectors.dataverse.sender import Sender
from schemas.errors import ChangeTokenExpired, CrmConflict, CrmMisconfigured, CrmUnavailable

JsonRow = dict[str, object]

# 100 ids make a URL of some 5 kB, and one answer holds them all.
_IDS_PER_READ = 100
# Not 401 and 403, which are about us, nor 429, which is about now.
_NO_SUCH_LINK = frozenset({400, 404, 410})


class Reader:
    """Reads from one environment; each request has a deadline of its own."""

    def __init__(self, sender: Sender, origin: str) -> None:
        self._sender = sender
        self._origin = origin

    def pages(self, request: odata.Request, prefer: Sequence[str]) -> Iterator[JsonRow]:
        """Answers page by page, following each nextLink as it stands, with the same preferences.

        `CrmUnavailable` where a link comes twice: the pages would never end.
        """
        followed: set[str] = set()
        while True:
            _, content = self._sender.read_json(request, self._sender.deadline())
            yield content
            link = content.get("@odata.nextLink")
            if not isinstance(link, str):
                return
            if link in followed:
                raise CrmUnavailable(f"{request.label}: the pages do not end. Remedy: run again.")
            followed.add(link)
            request = self.follow(link, prefer, label=request.label)

    def follow(self, link: str, prefer: Sequence[str], *, label: str) -> odata.Request:
        """A request for a link of the server; `CrmMisconfigured` if it leads to another host, which gets no token."""
        if not self._is_ours(link):
            raise CrmMisconfigured(
                f"{label}: a link leads to another host. Remedy: use the CRM's own address as base_url."
            )
        return odata.follow(link, prefer=prefer, label=label)

    def rows(self, request: odata.Request, prefer: Sequence[str]) -> Iterator[JsonRow]:
        """The rows of all pages."""
        for content in self.pages(request, prefer):
            yield from rows_of(content, label=request.label)

    def rows_by_id(self, table: TableName, ids: Sequence[str], *, select: Sequence[str]) -> dict[str, JsonRow]:
        """Rows by id with their `@odata.etag`; ids that the CRM does not have are absent."""
        found: dict[str, JsonRow] = {}
        for start in range(0, len(ids), _IDS_PER_READ):
            query = {
                "$select": selected(table, select),
                "$filter": odata.in_filter(table.primary_key, ids[start : start + _IDS_PER_READ]),
            }
            request = odata.read(table.entity_set, query, label=f"GET {table.entity_set}")
            found |= {canonical_id(row.get(table.primary_key)): row for row in self.rows(request, ())}
        return found

    def changes(self, table: TableName, request: odata.Request, *, prefer: Sequence[str]) -> Iterator[ChangePage]:
        """Change pages; the last one carries the delta link, and a server that gives none is not tracking changes."""
        for content in self.pages(request, prefer):
            link = content.get("@odata.deltaLink")
            if "@odata.nextLink" not in content and not isinstance(link, str):
                raise CrmMisconfigured(f"{request.label}: no delta link. Remedy: enable change tracking on the table.")
            rows = rows_of(content, label=request.label)
            yield _change_page(table, rows, link=str(link) if link else None)

    def changes_since(self, table: TableName, link: str, *, prefer: Sequence[str], label: str) -> Iterator[ChangePage]:
        """Change pages since a link that was kept; `ChangeTokenExpired` where nobody can follow it any more.

        So it is once the environment has another address, was restored or lost the table's tracking. Links within a
        reading are the server's of just now: what is wrong with those is told as it is.
        """
        if not self._is_ours(link):
            raise ChangeTokenExpired(
                f"{label}: the link that was kept leads to another host. Remedy: read it all again."
            )
        pages = self.changes(table, odata.follow(link, prefer=prefer, label=label), prefer=prefer)
        try:
            first = next(pages)
        except (CrmMisconfigured, CrmConflict) as error:
            if error.status not in _NO_SUCH_LINK:
                raise
            message = f"{label}: the link that was kept was refused. Remedy: read it all again."
            raise ChangeTokenExpired(
                message, status=error.status, code=error.code, request_id=error.request_id
            ) from error
        yield first
        yield from pages

    def _is_ours(self, link: str) -> bool:
        return _host_of(link) is not None and _host_of(link) == _host_of(self._origin)


def rows_of(content: Mapping[str, object], *, label: str) -> list[JsonRow]:
    """The rows of an answer; `CrmUnavailable` where it is JSON and no collection, as of something in between."""
    try:
        return odata.read_rows(content)
    except odata.UnreadableAnswer:
        raise CrmUnavailable(f"{label}: the answer holds no rows. Remedy: check the network, then run again.") from None


def _host_of(url: str) -> tuple[str, str | None, int] | None:
    """Scheme, host and port; None where the URL cannot be read."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None


def selected(table: TableName, columns: Sequence[str]) -> str:
    """The value of `$select`, the primary key always among it."""
    return ",".join(dict.fromkeys([table.primary_key, *columns]))


def _change_page(table: TableName, entries: Sequence[JsonRow], *, link: str | None) -> ChangePage:
    rows: list[JsonRow] = []
    deleted_ids: list[str] = []
    for entry in entries:
        if _is_deletion(entry):
            deleted_ids.append(canonical_id(entry.get("id") or entry.get(table.primary_key)))
        else:
            rows.append(entry)
    return ChangePage(rows, deleted_ids, link)


def _is_deletion(entry: Mapping[str, object]) -> bool:
    return str(entry.get("@odata.context", "")).endswith("/$deletedEntity") or "@removed" in entry
