"""Website forms (Drupal Webform): submissions of one form, pulled by window over webform_rest.

GET {base}/webform_rest/{form}/submissions with an `api-key` header, page by page
(https://packagist.org/packages/os2forms/os2forms_rest_api), and .../elements for the form's own keys
(https://www.drupal.org/project/webform_rest). Exports as files come through connectors.files; pushed submissions
through the receiver of preferences, as single JSON documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from connectors.batches import Pulled, pulled_batch
from connectors.decoders import MediaType
from connectors.fetching import HttpReader, HttpSettings, Read, RefusedError
from connectors.json_documents import pulled_payload
from connectors.windows import pull_window, row_instant
from schemas.errors import MappingError, SourceError
from schemas.mappings import ApiShape, Mapping
from schemas.records import ReceivedBatch, Window

_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class WebFormsSettings:
    """The site and the key that may read its submissions; `timezone` is the organisation's."""

    base_url: str
    api_key: str = field(repr=False)
    timezone: str = "Europe/Helsinki"
    http: HttpSettings = field(default_factory=HttpSettings)


class WebFormSubmissions:
    """Submissions of website forms; implements `connectors.sources.SourceConnector`."""

    def __init__(self, settings: WebFormsSettings) -> None:
        self._settings = settings
        self._reader = HttpReader(settings.http)

    def iter_batches(self, mapping: Mapping, window: Window, *, now: datetime) -> Iterator[ReceivedBatch]:
        """At most one batch: the submissions changed within the window and its overlap. Raises SourceError."""
        api = _api(mapping)
        days = pull_window(mapping, window, timezone=self._settings.timezone, now=now)
        dated = [(row, row_instant(mapping, partial(_text_at, row))) for row in self._iter_submissions(api)]
        rows = [row for row, changed_at in dated if days.holds(changed_at)]
        if rows:
            changed = [changed_at for _, changed_at in dated if days.holds(changed_at)]
            received_at = [days.received_at(changed_at) for changed_at in changed]
            payload = pulled_payload(rows, received_at, titles=self._fetch_elements(api))
            content = Pulled(MediaType.PULLED_JSON, payload, orjson.dumps(rows), changed)
            yield pulled_batch(mapping, window, days=days, pulled=content)

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Nothing: the watermark moves with the batch."""

    def _iter_submissions(self, api: ApiShape) -> Iterator[dict[str, Any]]:
        """All submissions of the form, each once; a site that knows no pages gives the same ones again and ends so."""
        seen: set[str] = set()
        for page in range(_MOST_PAGES):
            params = {"page": str(page), "items_per_page": str(api.page_rows)}
            fresh = {_identity(row): row for row in _rows(self._fetch(f"{api.resource}/submissions", params), api)}
            fresh = {identity: row for identity, row in fresh.items() if identity not in seen}
            if not fresh:
                return
            seen |= fresh.keys()
            yield from fresh.values()
        raise SourceError(f"Form {api.resource} has more than {_MOST_PAGES} pages. Delete old submissions in the site.")

    def _fetch_elements(self, api: ApiShape) -> list[list[str | None]]:
        """The form's elements as [key, label]; none where the site does not tell: then every mapped one must be met."""
        try:
            found = dict(_elements(self._fetch(f"{api.resource}/elements", {})))
        except RefusedError as refused:
            if refused.status in (404, 405):
                return []
            raise
        return [[key, found[key]] for key in sorted(found)]

    def _fetch(self, path: str, params: dict[str, str]) -> Any:
        url = f"{self._settings.base_url.rstrip('/')}/webform_rest/{path}"
        return self._reader.fetch_json(Read(url, params, {"api-key": self._settings.api_key}))


def _api(mapping: Mapping) -> ApiShape:
    if mapping.api is None:
        raise MappingError(f"Feed {mapping.feed} has no api: give api.resource, the form's id.")
    return mapping.api


def _rows(answer: Any, api: ApiShape) -> list[dict[str, Any]]:
    """The submissions in an answer: a list, or under `submissions` or `data`, by number or not."""
    if isinstance(answer, dict):
        answer = answer.get("submissions", answer.get("data"))
    rows = list(answer.values()) if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceError(f"Form {api.resource}: the answer is not a list of submissions. Check the module's version.")
    return rows


def _identity(row: dict[str, Any]) -> str:
    own = {name: row.get(name) or _first(row.get("entity"), name) for name in ("uuid", "sid")}
    return str(own["uuid"] or own["sid"] or orjson.dumps(row).decode())


def _first(entity: Any, name: str) -> Any:
    items = entity.get(name) if isinstance(entity, dict) else None
    return items[0].get("value") if isinstance(items, list) and items and isinstance(items[0], dict) else None


def _text_at(row: dict[str, Any], column: str) -> str | None:
    node: Any = row
    for part in column.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    value = node if node is not None else _first(row.get("entity"), column)
    return None if value is None else str(value)


def _elements(elements: Any) -> Iterator[tuple[str, str | None]]:
    """Keys and labels of elements at any depth; properties of an element begin with `#`."""
    if isinstance(elements, dict):
        for key, element in elements.items():
            if not key.startswith("#") and isinstance(element, dict):
                label = element.get("#title")
                yield key, label if isinstance(label, str) else None
                yield from _elements(element)
