"""Webropol's REST API: responses of one survey, pulled by window. Exports as files come through connectors.files.

Protocol: password grant for a bearer token, then pages of responses
(https://github.com/rantalainen/webropol-api-client, MIT, types and samples; https://developers.qodex.ai/webropol-api-s-public/).
The API has no modified-since filter: an edit of an old response shows only in a pull whose window covers its day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from connectors.batches import Pulled, pulled_batch
from connectors.decoders import MediaType
from connectors.fetching import HttpReader, HttpSettings, Read, RefusedError
from connectors.json_documents import pulled_payload
from connectors.webropol_answers import RESPONSE_DATE, RESPONSE_ID
from connectors.windows import PullWindow, pull_window, read_instant
from schemas.errors import MappingError, SourceError, SourceUnavailable
from schemas.mappings import ApiShape, Mapping
from schemas.records import ReceivedBatch, Window

_MOST_PAGES = 10_000


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
        """At most one batch: the responses given within the window and its overlap. Raises SourceError."""
        api = _api(mapping)
        pulled = pull_window(mapping, window, timezone=self._settings.timezone, now=now)
        titles = self._fetch_questions(api)
        responses = [r for r in self._fetch_responses(api, pulled) if pulled.holds(_given_at(r, pulled))]
        if responses:
            given_at = [_given_at(response, pulled) for response in responses]
            payload = pulled_payload(responses, [pulled.received_at(at) for at in given_at], titles=titles)
            content = Pulled(MediaType.PULLED_JSON, payload, orjson.dumps(responses), given_at)
            yield pulled_batch(mapping, window, days=pulled, pulled=content)

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Nothing: the watermark moves with the batch."""

    def _fetch_questions(self, api: ApiShape) -> list[list[str]]:
        answer = self._fetch(f"surveys/{api.resource}/questions")
        questions = sorted(answer.get("Questions") or [], key=lambda q: q.get("QuestionOrderNumber") or 0)
        return [[str(q.get("QuestionId")), str(q.get("QuestionText") or "")] for q in questions]

    def _fetch_responses(self, api: ApiShape, pulled: PullWindow) -> list[dict[str, Any]]:
        """All responses of the window, asked for with a day on both sides: by whose clock it filters is unknown."""
        day = timedelta(days=1)
        filters = {"StartDate": _stamp(pulled.since - day), "EndDate": _stamp(pulled.until + day)}
        found: dict[str, dict[str, Any]] = {}
        for page in range(1, _MOST_PAGES):
            answer = self._fetch(f"surveys/{api.resource}/responses", params={"paging": str(page)}, filters=filters)
            rows = answer.get("SurveyAnswers") or []
            found |= {str(row.get(RESPONSE_ID)): row for row in rows}
            paging = answer.get("Paging") or {}
            _check_page(api, page, paging)
            if paging.get("IsLastItemFetched", True) or not rows:
                return _all_of(api, found, paging)
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


def _given_at(response: dict[str, Any], pulled: PullWindow) -> datetime | None:
    return read_instant(response.get(RESPONSE_DATE), pulled.clock)


def _check_page(api: ApiShape, page: int, paging: dict[str, Any]) -> None:
    if paging.get("CurrentPage") not in (None, page):
        raise SourceError(
            f"Survey {api.resource}: page {page} was asked for and another came. Report it to the vendor."
        )


def _all_of(api: ApiShape, found: dict[str, dict[str, Any]], paging: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, if they are as many as the survey has: pages shift while people answer, and then some are missed."""
    if len(found) < (paging.get("TotalCount") or 0):
        raise SourceUnavailable(f"Survey {api.resource} changed while it was read. Run again.")
    return list(found.values())


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")
