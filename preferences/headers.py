"""Headers of every answer: nothing but our own style sheet and forms; no cache, no referrer, no index, no frame.

https://owasp.org/www-project-secure-headers/
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_HTTPS = "max-age=63072000; includeSubDomains"


class SecureHeaders:
    """ASGI middleware: sets HEADERS, `Cache-Control: no-store` where nothing else is said, and HSTS where `is_https`."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                if self._is_https:
                    headers["Strict-Transport-Security"] = _HTTPS
            await send(message)

        await self._app(scope, receive, send_with if scope["type"] == "http" else send)
