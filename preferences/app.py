"""The web service: its routes, headers and answers to what goes wrong, over an opened door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from preferences.confirming import ConfirmationMails, confirming_router
from preferences.consent_provider import consent_router
from preferences.door import Door
from preferences.faults import answer_faults
from preferences.headers import SecureHeaders
from preferences.newsletter_link import newsletter_router
from preferences.own_page import own_router
from preferences.rendering import Pages
from preferences.webhooks import webhook_router

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

    # A redirect to the path with or without its slash would be built from the Host that the client names.
    app = FastAPI(
        title="crm-intake preferences", docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan
    )
    pages = Pages(door)
    answer_faults(app, pages)
    app.add_middleware(SecureHeaders, is_https=door.is_https)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(newsletter_router(door, pages))
    app.include_router(own_router(door, pages))
    app.include_router(confirming_router(door, pages))
    app.include_router(webhook_router(door))
    app.include_router(consent_router(door))
    _health_routes(app, door)
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
