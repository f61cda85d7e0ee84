"""Who may talk to the local page: a browser on this machine that has the key of this start, by the page's own name.

A page elsewhere could send a browser here: by a name that leads to this machine (DNS rebinding), which the Host header
tells, or by a form, which the cookie and the token in each form keep out.
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "crm_intake_local"
MAX_BODY = 24 << 20


@dataclass(frozen=True)
class Keys:
    """Of one start: what opens the page, and what each of its forms carries."""

    door: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    form: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class LocalGuard:
    """ASGI middleware: refuses other hosts, other origins, bodies that are too large, and who has not the key."""

    def __init__(self, app: ASGIApp, *, keys: Keys, port: int) -> None:
        self._app, self._keys = app, keys
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(HTTPConnection(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, asked: HTTPConnection) -> Response | None:
        host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
        if host not in self._hosts:
            return PlainTextResponse("This page is for this machine only.", 421)
        if origin not in (None, "null", f"http://{host}"):
            return PlainTextResponse("Another page sent this.", 403)
        if not asked.headers.get("content-length", "0").isdecimal() or "transfer-encoding" in asked.headers:
            return PlainTextResponse("A body of known length is needed.", 411)
        if int(asked.headers.get("content-length", "0")) > MAX_BODY:
            return PlainTextResponse(f"At most {MAX_BODY >> 20} MB can be sent.", 413)
        if asked.url.path.startswith("/static/"):
            return None
        return self._without_key(asked)

    def _without_key(self, asked: HTTPConnection) -> Response | None:
        given = parse_qs(asked.url.query).get("key", [""])[0]
        if given and hmac.compare_digest(given.encode(), self._keys.door.encode()):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, self._keys.door, httponly=True, samesite="strict")
            return answer
        if hmac.compare_digest(asked.cookies.get(COOKIE, "").encode(), self._keys.door.encode()):
            return None
        return PlainTextResponse("Open the page by the address that `crm-intake sources page` printed.", 403)

    def is_ours(self, token: object) -> bool:
        """Whether a form carries this start's token."""
        return isinstance(token, str) and hmac.compare_digest(token.encode(), self._keys.form.encode())
