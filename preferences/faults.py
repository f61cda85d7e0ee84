"""What is answered when the store is away, a form is wrong, too much is sent, nothing is there, or the fault is ours.

People get a page and machines JSON. Of an error of ours the log has its class and place, and never its message, which
may carry a person.
"""

import logging
import traceback

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preferences.answers import BodyTooLarge, FormRefused
from preferences.rendering import Pages
from schemas.errors import ActRefused, StoreError

LOG = logging.getLogger(__name__)
_OF_MACHINES = ("/hooks/", "/consent/", "/ready", "/health", "/openapi.json", "/static/")


def answer_faults(app: FastAPI, pages: Pages) -> None:
    """Give an app its answers to what goes wrong."""

    def away(request: Request, error: Exception) -> Response:
        LOG.error("The store refused or is away: %s", error)
        answer = _told(pages, request, 503, "busy")
        answer.headers["Retry-After"] = "30"
        return answer

    def wrong(request: Request, error: Exception) -> Response:
        return _told(pages, request, 413 if isinstance(error, BodyTooLarge) else 400, "form")

    def nothing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 404 or _is_of_machines(request):
            answer = _told(pages, request, error.status_code, "form")
        else:
            answer = pages.show(request, "refused", status=404, is_readable=False)
        answer.headers.update(error.headers or {})
        return answer

    app.add_exception_handler(StoreError, away)
    app.add_exception_handler(FormRefused, wrong)
    app.add_exception_handler(BodyTooLarge, wrong)
    app.add_exception_handler(ActRefused, wrong)
    app.add_exception_handler(HTTPException, nothing)
    app.add_middleware(_OwnFaults, pages=pages)


class _OwnFaults:
    """ASGI middleware: an error that nobody foresaw is answered 500 and logged without its message."""

    def __init__(self, app: ASGIApp, *, pages: Pages) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def send_on(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if scope["type"] != "http":
                raise
            places = "".join(traceback.format_tb(error.__traceback__)[-3:])
            LOG.error("%s, which nobody foresaw, at:\n%s", type(error).__name__, places)
            if not began:
                await _told(self._pages, Request(scope), 500, "failed")(scope, receive, send)


def _told(pages: Pages, request: Request, status: int, words: str) -> Response:
    t = pages.texts(request)["errors"]
    said = t[words].format(contact=pages.contact)
    if _is_of_machines(request):
        return JSONResponse({"error": said}, status_code=status)
    heading = t[f"{words}_heading"]
    return pages.show(request, "message", status=status, heading=heading, lines=[said], is_readable=False)


def _is_of_machines(request: Request) -> bool:
    return request.url.path.startswith(_OF_MACHINES)
