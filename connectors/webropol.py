"""Webropol's REST API: responses of one survey, pulled by window. Exports as files come through connectors.files.

Protocol: password grant for a bearer token, then pages of responses
(https://github.com/rantalainen/webropol-api-client, MIT, types and samples; https://developers.qodex.ai/webropol-api-s-public/).
The API has no modified-since filter: an edit of an old response shows only in a pull whose window covers its day, so
that a mapping can ask for a full sweep every so many days.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from connectors.batches import Pulled, pulled_batch
from connectors.decoders import MediaType
from connectors.fetching import HttpReader, HttpSettings, Read, RefusedError
from connectors.json_documents import pulled_payload
from connectors.webropol_answers import RESPONSE_DATE, RESPONSE_ID, has_identity, questions_of
from connectors.windows import PullWindow, pull_window, read_instant
from schemas.errors import MappingError, SourceError, SourceUnavailable
from schemas.mappings import ApiShape, Mapping
from schemas.records import ReceivedBatch, Window

_MOST_PAGES = 10_000
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WebropolSettings:
    """The account that may read the surveys; `timezone` is the organisation's, in which days are told apart."""

    username: str
    password: str = field(repr=False)
    base_url: str = "https://rest.webropolsurveys.com"
    timezone: str = "Europe/Helsinki"
    http: HttpSettings = field(default_factory=HttpSettings)


class WebropolResponses:
    """Responses of surveys by the API; implements `connectors.sources.SourceConnector`."""

    def __init__(self, settings: WebropolSettings) -> None:
        self._settings = settings
        self._reader = HttpReader(settings.http)
        self._token: str | None = None

    def iter_batches(self, mapping: Mapping, window: Window, *, now: datetime) -> Iterator[ReceivedBatch]:
        """One batch of the responses given within the window and its overlap, if there are any. Raises SourceError.

        On a day of a full sweep the older ones follow, a batch for each week: a week in which nothing was edited is the
        very batch that it was the last time.
        """
        api = _api(mapping)
        days = pull_window(mapping, window, timezone=self._settings.timezone, now=now)
        asked = replace(days, since=_BEGINNING) if _is_sweep(api, window) else days
        titles = self._fetch_questions(api)
        responses = [r for r in self._fetch_responses(api, asked) if asked.holds(_given_at(r, days))]
        for chunk in _chunks(responses, days):
            yield self._batch(mapping, window, days=days, content=(titles, chunk))

    def _batch(
        self,
        mapping: Mapping,
        window: Window,
        *,
        days: PullWindow,
        content: tuple[list[list[str | None]], list[dict[str, Any]]],
    ) -> ReceivedBatch:
        titles, responses = content
        given_at = [_given_at(response, days) for response in responses]
        payload = pulled_payload(responses, [days.received_at(at) for at in given_at], titles=titles)
        pulled = Pulled(MediaType.PULLED_JSON, payload, orjson.dumps(responses), given_at)
        return pulled_batch(mapping, window, days=days, pulled=pulled)

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Nothing: the watermark moves with the batch."""

    def _fetch_questions(self, api: ApiShape) -> list[list[str | None]]:
        return questions_of(self._fetch(f"surveys/{api.resource}/questions"))

    def _fetch_responses(self, api: ApiShape, pulled: PullWindow) -> list[dict[str, Any]]:
        """All responses of the window, asked for with a day on both sides: by whose clock it filters is unknown."""
        day = timedelta(days=1)
        filters = {"StartDate": _stamp(pulled.since - day), "EndDate": _stamp(pulled.until + day)}
        found: dict[str, dict[str, Any]] = {}
        most = 0
        for page in range(1, _MOST_PAGES):
            answer = self._fetch(f"surveys/{api.resource}/responses", params={"paging": str(page)}, filters=filters)
            rows, paging = _page_of(api, page, answer)
            found |= {_identity(row, api): row for row in rows}
            most = max(most, paging.get("TotalCount") or 0)
            if paging["IsLastItemFetched"] or not rows:
                return _all_of(api, found, most)
        raise SourceError(f"Survey {api.resource} has more than {_MOST_PAGES} pages. Pull a shorter window.")

    def _fetch(self, path: str, *, params: dict[str, str] | None = None, filters: dict[str, str] | None = None) -> Any:
        try:
            return self._reader.fetch_json(self._read(path, params or {}, filters))
        except RefusedError as refused:
            if refused.status != 401:
                raise
        self._token = None  # it expires after four hours; a second refusal is no expiry
        return self._reader.fetch_json(self._read(path, params or {}, filters))

    def _read(self, path: str, params: dict[str, str], filters: dict[str, str] | None) -> Read:
        url = f"{self._settings.base_url.rstrip('/')}/api/v1/{path}"
        return Read(url, params, {"Authorization": f"Bearer {self._bearer()}"}, json=filters)

    def _bearer(self) -> str:
        if self._token is None:
            self._token = self._fetch_token()
        return self._token

    def _fetch_token(self) -> str:
        form = {"grant_type": "password", "username": self._settings.username, "password": self._settings.password}
        answer = self._reader.fetch_json(Read(f"{self._settings.base_url.rstrip('/')}/Token", form=form))
        if not isinstance(answer, dict) or not answer.get("access_token"):
            raise SourceError("Webropol's token endpoint gave no token. Check the base address in the settings.")
        return str(answer["access_token"])


def _api(mapping: Mapping) -> ApiShape:
    if mapping.api is None:
        raise MappingError(f"Feed {mapping.feed} has no api: give api.resource, the survey's id.")
    return mapping.api


def _identity(response: dict[str, Any], api: ApiShape) -> str:
    """The response's own id: respondents of public links have none."""
    if not has_identity(response):
        raise SourceError(
            f"Survey {api.resource}: responses come without an id (all zeros), as those of a single question do. "
            "Pull the responses of the whole survey; report it to the vendor if they are."
        )
    return str(response[RESPONSE_ID])


def _given_at(response: dict[str, Any], pulled: PullWindow) -> datetime | None:
    return read_instant(response.get(RESPONSE_DATE), pulled.clock)


def _is_sweep(api: ApiShape, window: Window) -> bool:
    """Whether one of the window's days is a day of a sweep; which days are does not depend on when they are pulled."""
    every = api.full_sweep_days
    return every is not None and window.last_on.toordinal() // every > (window.first_on.toordinal() - 1) // every


def _chunks(responses: list[dict[str, Any]], days: PullWindow) -> Iterator[list[dict[str, Any]]]:
    """What the window holds, then what is older by the week in which it was given, oldest first."""
    older: dict[tuple[int, int], list[dict[str, Any]]] = {}
    fresh = []
    for response in responses:
        given_at = _given_at(response, days)
        if given_at is None or days.holds(given_at):
            fresh.append(response)
        else:
            older.setdefault(given_at.astimezone(days.days).isocalendar()[:2], []).append(response)
    yield from (chunk for chunk in (fresh, *(older[week] for week in sorted(older))) if chunk)


def _page_of(api: ApiShape, page: int, answer: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The responses of an answer, and what it tells of its page. An answer that lacks either is no end of the pages."""
    told = answer if isinstance(answer, dict) else {}
    rows, paging = told.get("SurveyAnswers"), told.get("Paging")
    if not isinstance(rows, list) or not isinstance(paging, dict) or "IsLastItemFetched" not in paging:
        raise SourceUnavailable(
            f"Survey {api.resource}: page {page} came without its responses or its paging (SurveyAnswers, Paging). Run again;"
            " report it to the vendor if it stays so."
        )
    if paging.get("CurrentPage") not in (None, page):
        raise SourceError(
            f"Survey {api.resource}: page {page} was asked for and another came. Report it to the vendor."
        )
    return rows, paging


def _all_of(api: ApiShape, found: dict[str, dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The rows, if they are as many as any page told of: pages shift while people answer, and then some are missed."""
    if len(found) < most:
        raise SourceUnavailable(f"Survey {api.resource} changed while it was read. Run again.")
    return list(found.values())


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")
