"""Reading over HTTP: timeouts, bounded retries, and errors that tell no one's data. Reads only; the CRM has its own.

What is retried: a lost connection, a timeout, 429, 5xx, and an answer that is cut short. Redirects are not followed,
so that no credential goes to a host that the settings do not name.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from connectors.json_documents import parse_json
from schemas.errors import ConfigurationError, SourceError, SourceUnavailable

MAX_ANSWER_BYTES = 100 << 20
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """`ca_path` is a bundle to trust instead of the system's; given per request, for `requests` lets a
    REQUESTS_CA_BUNDLE of the environment win over the session's. `sleep` waits the seconds between attempts.
    """

    ca_path: str | None = None
    connect_timeout_s: float = 10
    read_timeout_s: float = 120
    attempts: int = 5
    backoff_s: float = 0.5
    longest_wait_s: float = 60
    most_bytes: int = MAX_ANSWER_BYTES
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Read:
    """One read: GET, or POST where the source takes its filters or credentials in the body."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None

    @property
    def method(self) -> str:
        return "GET" if self.json is None and self.form is None else "POST"

    @property
    def place(self) -> str:
        """The address without its query, fit for a message."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: its parsed body and its headers."""

    body: Any
    headers: Mapping[str, str]


class RefusedError(SourceError):
    """The source answered with a status that no retry mends; `location` is where a redirect points."""

    def __init__(self, read: Read, status: int, location: str | None = None) -> None:
        super().__init__(f"{read.method} {read.place} was refused with status {status}. {_remedy(status)}")
        self.status = status
        self.location = location if status in (301, 302, 307, 308) else None


class HttpReader:
    """Reads JSON from one source over one session."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._session = requests.Session()

    def fetch_json(self, read: Read) -> Any:
        """The parsed body of an answer; raises as `fetch`."""
        return self.fetch(read).body

    def fetch(self, read: Read) -> Answered:
        """The answer, parsed. Raises RefusedError at once, SourceUnavailable after the last attempt."""
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return self._once(read)
            except _TryAgainError as again:
                problem = again
            if attempt < self._settings.attempts:
                self._settings.sleep(self._wait_s(attempt, problem.wanted_s))
        raise SourceUnavailable(
            f"{read.method} {read.place} failed {self._settings.attempts} times, the last time with {problem.what}. "
            "Run again when the source answers."
        )

    def _once(self, read: Read) -> Answered:
        try:
            with self._send(read) as answer:
                body = _body(answer, self._settings.most_bytes)
                status, headers = answer.status_code, answer.headers
        except requests.exceptions.SSLError:
            raise SourceError(f"{read.place}: the certificate is not trusted. Check the clock and ca_path.") from None
        except requests.exceptions.RequestException as error:
            raise _TryAgainError(type(error).__name__) from None
        except OSError:
            raise ConfigurationError("ca_path names no bundle of certificates that can be read. Correct it.") from None
        return Answered(_parsed(read, status, body, headers), headers)

    def _send(self, read: Read) -> requests.Response:
        return self._session.request(
            read.method,
            read.url,
            params=dict(read.params),
            json=read.json,
            data=dict(read.form) if read.form is not None else None,
            auth=_Headers(read.headers),
            timeout=(self._settings.connect_timeout_s, self._settings.read_timeout_s),
            verify=self._settings.ca_path or True,
            allow_redirects=False,
            stream=True,
        )

    def _wait_s(self, attempt: int, wanted_s: float | None) -> float:
        backoff = self._settings.backoff_s * 2 ** (attempt - 1)
        return min(max(backoff, wanted_s or 0), self._settings.longest_wait_s)


class _Headers(AuthBase):
    """Sets the headers last: otherwise `requests` puts credentials of a .netrc in place of the bearer token."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class _TryAgainError(Exception):
    """This attempt failed in a way that another may not."""

    def __init__(self, what: str, wanted: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wanted_s = float(wanted) if wanted and wanted.isdecimal() else None


def _body(answer: requests.Response, most: int) -> bytes:
    """The body, unpacked; it is let go as soon as it is too large, whatever its header promised."""
    body = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > most:
            raise SourceError(f"An answer is larger than {most} bytes. Ask for fewer rows per page.")
    return bytes(body)


def _parsed(read: Read, status: int, body: bytes, headers: Mapping[str, str]) -> Any:
    if status == 429 or status >= 500:
        raise _TryAgainError(f"status {status}", headers.get("Retry-After"))
    if status != 200:
        raise RefusedError(read, status, headers.get("Location"))
    try:
        return parse_json(body)
    except ValueError:
        raise _TryAgainError("an answer that is not JSON") from None


def _remedy(status: int) -> str:
    if status in (400, 401, 403):
        return "Check the credentials, and that they may read this resource."
    if status == 404:
        return "Check the base address, and the resource or path in the mapping."
    return "Check the base address in the settings."
