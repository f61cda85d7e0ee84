"""The web service: routes, headers, and what is answered when the store is away, a form is wrong, or too much is sent."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from preferences.answers import BodyTooLarge, FormRefused
from preferences.confirming import ConfirmationMails, confirming_router
from preferences.consent_provider import consent_router
from preferences.door import Door
from preferences.headers import SecureHeaders
from preferences.newsletter_link import newsletter_router
from preferences.own_page import own_router
from preferences.rendering import Pages
from preferences.webhooks import webhook_router
from schemas.errors import ActRefused, StoreError

LOG = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"


def make_app(door: Door) -> FastAPI:
    """The service over an opened door; it closes the door when it ends."""

    mails = ConfirmationMails(door)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        mails.start()
        yield
        await run_in_threadpool(mails.stop)
        await run_in_threadpool(door.close)

    app = FastAPI(title="crm-intake preferences", docs_url=None, redoc_url=None, lifespan=lifespan)
    pages = Pages(door)
    app.add_middleware(SecureHeaders, is_https=door.is_https)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(newsletter_router(door, pages))
    app.include_router(own_router(door, pages))
    app.include_router(confirming_router(door, pages))
    app.include_router(webhook_router(door))
    app.include_router(consent_router(door))
    _health_routes(app, door)
    _error_answers(app, pages)
    return app


def _health_routes(app: FastAPI, door: Door) -> None:
    @app.get("/health", tags=["health"])
    def health() -> dict[str, str]:
        """The process lives."""
        return {"status": "alive"}

    @app.get("/ready", tags=["health"], responses={503: {"description": "The store is away."}})
    def ready() -> dict[str, str]:
        """The store answers; without it nothing can be recorded."""
        with door.transaction() as conn:
            conn.execute(text("select 1"))
        return {"status": "ready"}


def _error_answers(app: FastAPI, pages: Pages) -> None:
    def away(request: Request, error: Exception) -> Response:
        LOG.error("The store refused or is away: %s", error)
        answer = _told(pages, request, 503, "busy")
        answer.headers["Retry-After"] = "30"
        return answer

    def wrong(request: Request, error: Exception) -> Response:
        return _told(pages, request, 413 if isinstance(error, BodyTooLarge) else 400, "form")

    app.add_exception_handler(StoreError, away)
    app.add_exception_handler(FormRefused, wrong)
    app.add_exception_handler(BodyTooLarge, wrong)
    app.add_exception_handler(ActRefused, wrong)


def _told(pages: Pages, request: Request, status: int, words: str) -> Response:
    t = pages.texts(request)["errors"]
    if request.url.path in ("/ready", "/health") or request.url.path.startswith(("/hooks/", "/consent/")):
        return JSONResponse({"error": t[words]}, status_code=status)
    return pages.show(
        request, "message", status=status, heading=t[f"{words}_heading"], lines=[t[words]], is_readable=False
    )
