"""One request over the network, and what came of it. No retrying (sender.py), no judging (classify.py).

Three ends are told apart, because a write may be repeated after the second only:
an `Answer`; `NotSent` (no connection was made); `Lost` (sent, and the answer did not come whole).
"""

import logging
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from connectors.dataverse.odata import CONSTANT_HEADERS, Answer, Request
from connectors.dataverse.settings import DataverseSettings

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 16
# Of requests and of urllib3, before and within the answer's body.
_READ_TIMEOUTS = frozenset({"ReadTimeout", "ReadTimeoutError"})
_CLIENT_REQUEST_ID = "x-ms-client-request-id"


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have been executed; `request_id` is ours."""

    reason: str
    request_id: str

    @property
    def is_late(self) -> bool:
        """Whether the answer did not come in time."""
        return self.reason in _READ_TIMEOUTS


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request was certainly not executed."""

    reason: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """The gate closed while the request was being made ready; it was not sent, and waits for its turn again."""


Reply = Answer | Lost | NotSent | Held


class Wire:
    """Sends single requests to one environment; thread-safe, keeps connections but no cookies."""

    def __init__(self, settings: DataverseSettings, session: requests.Session | None = None) -> None:
        self._settings = settings
        self._session = session or _new_session(settings.max_parallelism * len(settings.users))
        # Each server behind the affinity cookie has its own limits, so the cookie is not kept.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._verify = str(settings.ca_path) if settings.ca_path else None
        # All are asked before each request; one raises where nothing may be sent any more.
        self.guards: list[Callable[[], None]] = []
        _quieten_urllib3()

    def exchange(self, request: Request, token: str, *, is_open: Callable[[], bool] = lambda: True) -> Reply:
        """Sends a request once. Never raises for what happens on the network, and never follows a redirect.

        Raises what one of `guards` raises, and then has sent nothing. `is_open` is asked at the last moment, when all is ready
        to be written to the connection.
        """
        for may_send in tuple(self.guards):
            may_send()
        request_id = str(uuid.uuid4())
        started_s = time.perf_counter()
        prepared = self._prepare(request, token, request_id=request_id)
        options = self._session.merge_environment_settings(prepared.url, {}, True, self._verify, None)
        if not is_open():
            return Held()
        try:
            reply: Answer | Lost | NotSent = self._answer(prepared, request_id, options)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # Only the kind of error goes on: its text holds the URL with its query.
            reply = (NotSent if _never_connected(error) else Lost)(type(error).__name__, request_id)
        _log_exchange(request, reply, request_id=request_id, elapsed_s=time.perf_counter() - started_s)
        return reply

    def close(self) -> None:
        """Closes pooled connections."""
        self._session.close()

    def _prepare(self, request: Request, token: str, *, request_id: str) -> requests.PreparedRequest:
        url = self._url(request.target)
        # Not through the session: it would add cookies, and a netrc entry would replace the token.
        prepared = requests.Request(request.method, url, data=request.body).prepare()
        prepared.headers.update({**dict(CONSTANT_HEADERS), **dict(request.headers)})
        prepared.headers.update({"Authorization": f"Bearer {token}", _CLIENT_REQUEST_ID: request_id})
        # `prepare` decodes and re-encodes what it thinks it may; a paging cookie must stay as the server wrote it.
        prepared.url = url
        return prepared

    def _url(self, target: str) -> str:
        if "://" in target.partition("?")[0]:
            return target
        return f"{self._settings.origin}{self._settings.api_path}{target}"

    def _answer(self, prepared: requests.PreparedRequest, request_id: str, options: Mapping[str, Any]) -> Answer:
        settings = self._settings
        timeout = (settings.connect_timeout_s, settings.read_timeout_s)
        started_s = time.perf_counter()
        response = self._session.send(prepared, timeout=timeout, allow_redirects=False, **options)
        try:
            body = _read_body(response, within_s=2 * settings.read_timeout_s)
        finally:
            response.close()
        headers = {_CLIENT_REQUEST_ID: request_id, **response.headers}
        return Answer(response.status_code, headers, body, time.perf_counter() - started_s)


def _new_session(connections: int) -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read_body(response: requests.Response, *, within_s: float) -> bytes:
    """The whole body; a read timeout alone would wait for ever for a server that sends a byte now and then."""
    ends_s = time.monotonic() + within_s
    chunks = []
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        chunks.append(chunk)
        if time.monotonic() > ends_s:
            raise requests.ReadTimeout
    return b"".join(chunks)


def _never_connected(error: Exception) -> bool:
    """Whether no byte of the request can have left: name, connection, or the server's certificate failed."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        reason = reason.original_error
    if isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        return True
    inner = reason.args[0] if isinstance(reason, Exception) and reason.args else None
    return isinstance(inner, ssl.SSLCertVerificationError)


def _log_exchange(request: Request, reply: Answer | Lost | NotSent, *, request_id: str, elapsed_s: float) -> None:
    outcome = reply.status if isinstance(reply, Answer) else f"{type(reply).__name__} ({reply.reason})"
    server_id = reply.request_id if isinstance(reply, Answer) else None
    level = logging.DEBUG if isinstance(reply, Answer) and reply.status < 400 else logging.WARNING
    _log.log(level, "%s: %s in %.3f s, request %s, server %s", request.label, outcome, elapsed_s, request_id, server_id)


def _quieten_urllib3() -> None:
    """urllib3 writes whole URLs into its log, at debug level and on odd headers."""
    logger = logging.getLogger("urllib3.connectionpool")
    if logger.level < logging.ERROR:
        logger.setLevel(logging.ERROR)
