"""Any REST service that answers with JSON, as its mapping describes it: let in, turn the pages, keep to the limits.

No answer can lead anywhere but to the mapping's own host, and none can fill the memory. What was pulled is landed as
received, records as the service gave them.
"""

import base64
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from connectors.batches import Pulled, pulled_batch
from connectors.decoders import MediaType
from connectors.fetching import Answered, HttpReader, HttpSettings, Read, RefusedError
from connectors.json_documents import flat_row, pulled_payload
from connectors.rest_pages import first_read, next_read, records_in, resolved
from connectors.windows import PullWindow, pull_window, row_instant
from schemas.errors import ConfigurationError, MappingError, SourceError
from schemas.mappings import Mapping
from schemas.records import ReceivedBatch, Window
from schemas.rest import LOOPBACK, RestAuth, RestShape

PREFIX = "INTAKE_REST_"
_MOST_REDIRECTS = 3
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class RestSettings:
    """`secrets`: what the settings keep for REST feeds, by name without the prefix; `clock` tells seconds."""

    secrets: AnyMapping[str, str] = field(default_factory=dict, repr=False)
    timezone: str = "Europe/Helsinki"
    http: HttpSettings = field(default_factory=HttpSettings)
    clock: Callable[[], float] = time.monotonic


class RestRecords:
    """Records of REST services; implements `connectors.sources.SourceConnector`."""

    def __init__(self, settings: RestSettings) -> None:
        self._settings = settings

    def iter_batches(self, mapping: Mapping, window: Window, *, now: datetime) -> Iterator[ReceivedBatch]:
        """At most one batch: the records changed within the window and its overlap. Raises SourceError."""
        if mapping.rest is None:
            raise MappingError(f"Feed {mapping.feed} has no rest: give rest.base_url and rest.path.")
        days = pull_window(mapping, window, timezone=self._settings.timezone, now=now)
        pull = _Pull(mapping.rest, self._settings)
        dated = [(row, row_instant(mapping, flat_row(row).get)) for row in pull.iter_records(days)]
        kept = [(row, at) for row, at in dated if days.holds(at)]
        if kept:
            rows, changed = [row for row, _ in kept], [at for _, at in kept]
            payload = pulled_payload(rows, [days.received_at(at) for at in changed], titles=[])
            pulled = Pulled(MediaType.REST_JSON, payload, orjson.dumps(rows), changed)
            yield pulled_batch(mapping, window, days=days, pulled=pulled)

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Nothing: the watermark moves with the batch."""


class _Pull:
    """One pull of one service."""

    def __init__(self, shape: RestShape, settings: RestSettings) -> None:
        self._shape, self._settings = shape, settings
        self._reader = HttpReader(replace(settings.http, most_bytes=shape.most_mb_an_answer * _MB))
        self._token: str | None = None
        self._asked_at: float | None = None

    def iter_records(self, days: PullWindow) -> Iterator[dict[str, Any]]:
        """Every record once, page by page; a service that knows no pages gives the same again and ends so."""
        refuse_unsafe_host(self._shape.base_url)
        read: Read | None = first_read(self._shape, days)
        seen: set[bytes] = set()
        size = pages = 0
        while read is not None:
            answer = self._fetch(read)
            records = {orjson.dumps(row): row for row in records_in(self._shape, answer.body)}
            fresh = {written: row for written, row in records.items() if written not in seen}
            size, pages = size + sum(map(len, fresh)), pages + 1
            self._refuse_endless(size, pages)
            seen |= fresh.keys()
            yield from fresh.values()
            read = next_read(self._shape, read, answer.body, answer.headers, rows=len(fresh))

    def _refuse_endless(self, size: int, pages: int) -> None:
        if size > self._shape.most_mb * _MB or pages > self._shape.paging.most_pages:
            raise SourceError(
                f"The service gives more than {self._shape.most_mb} MB or {self._shape.paging.most_pages} pages. Ask for"
                " a shorter time, or raise rest.most_mb or rest.paging.most_pages."
            )

    def _fetch(self, read: Read) -> Answered:
        """One page; a token that has run out is fetched anew once, a redirect followed within the host."""
        try:
            return self._redirected(self._let_in(read))
        except RefusedError as refused:
            if refused.status != 401 or self._shape.auth.kind != "oauth2":
                raise
        self._token = None
        return self._redirected(self._let_in(read))

    def _redirected(self, read: Read) -> Answered:
        for _ in range(_MOST_REDIRECTS):
            try:
                self._keep_pace()
                return self._reader.fetch(read)
            except RefusedError as refused:
                if refused.location is None:
                    raise
                read = replace(read, url=resolved(self._shape, read, refused.location), params={})
        raise SourceError("The service redirects again and again. Correct rest.base_url or rest.path.")

    def _keep_pace(self) -> None:
        now = self._settings.clock()
        if self._asked_at is not None and self._shape.requests_per_s is not None:
            wait_s = self._asked_at + 1 / self._shape.requests_per_s - now
            if wait_s > 0:
                self._settings.http.sleep(wait_s)
                now += wait_s
        self._asked_at = now

    def _let_in(self, read: Read) -> Read:
        return replace(read, headers={**read.headers, **self._credentials(self._shape.auth)})

    def _credentials(self, auth: RestAuth) -> dict[str, str]:
        match auth.kind:
            case "bearer":
                return {"Authorization": f"Bearer {self._secret(auth.secret)}"}
            case "header":
                return {auth.header: f"{auth.prefix}{self._secret(auth.secret)}"}
            case "basic":
                return {"Authorization": _basic(self._secret(auth.username), self._secret(auth.secret))}
            case "oauth2":
                self._token = self._token or self._fetch_token(auth)
                return {"Authorization": f"Bearer {self._token}"}
        return {}

    def _fetch_token(self, auth: RestAuth) -> str:
        client, secret = self._secret(auth.client_id), self._secret(auth.secret)
        form = {"grant_type": "client_credentials"} | ({"scope": auth.scope} if auth.scope else {})
        headers = {"Accept": "application/json"}
        if auth.credentials_in == "header":
            headers["Authorization"] = _basic(client, secret)
        else:
            form |= {"client_id": client, "client_secret": secret}
        refuse_unsafe_host(str(auth.token_url))
        body = self._reader.fetch(Read(str(auth.token_url), headers=headers, form=form)).body
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token:
            raise SourceError("The token address answered without an access_token. Check rest.auth in the mapping.")
        return token

    def _secret(self, name: str | None) -> str:
        value = self._settings.secrets.get(str(name))
        if not value:
            raise ConfigurationError(f"The setting {PREFIX}{name} is empty. Set it: rest.auth names it.")
        return value


def refuse_unsafe_host(address: str) -> None:
    """Raises SourceError where the host's name leads to this machine or to its own network link (cloud metadata).

    A host of the organisation's own network may be asked; this machine only where the address says so itself.
    """
    host = str(urlsplit(address).hostname)
    if host in LOOPBACK:
        return
    try:
        found = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return  # who cannot be found cannot be asked: the request says so, and tries again
    for text in found:
        place = ipaddress.ip_address(text)
        place = getattr(place, "ipv4_mapped", None) or place
        if place.is_loopback or place.is_link_local or place.is_multicast or place.is_unspecified:
            raise SourceError("rest.base_url or token_url leads to this machine or its link. Name the service's host.")


def _basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
