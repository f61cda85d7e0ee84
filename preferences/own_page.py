"""The person's own page: what is held and why, corrections, topics, rights. Only after a fresh proof of the mailbox.

A one-time link in a mail opens a page with one button; pressing it uses the link up and begins a session of half an
hour (a cookie that no script and no other site can use). So a mail scanner that follows the link uses nothing up.
"""

from datetime import timedelta
from secrets import token_bytes
from uuid import UUID

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from connectors.store.mailbox_proofs import Mailbox, use_proof
from connectors.store.own_data import read_own_data
from connectors.store.person_requests import add_request
from pipelines.transforms.preference_links import NONCE_BYTES, Expiry, Scope, sign_token
from preferences.answers import is_from_elsewhere, read_body, read_form, refused
from preferences.door import Door
from preferences.own_deeds import DEEDS, Asked, Deed
from preferences.own_view import form_field, own_view, read_form_field
from preferences.rendering import Pages

SESSION_LASTS = timedelta(minutes=30)
_FORM = {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}, "required": False}


def own_router(door: Door, pages: Pages) -> APIRouter:
    """The routes of the own page."""
    router = APIRouter(tags=["own"])
    _entry_routes(router, door, pages)

    @router.head("/own", include_in_schema=False)
    @router.get("/own", operation_id="show_own")
    def show(request: Request) -> Response:
        mailbox = _mailbox(door, request)
        return refused(door, pages, request) if mailbox is None else _show(door, pages, request, mailbox)

    for name, deed in DEEDS.items():
        _deed_route(router, door, pages, name, deed)
    return router


def _entry_routes(router: APIRouter, door: Door, pages: Pages) -> None:
    @router.head("/enter/{token}", include_in_schema=False)
    @router.get("/enter/{token}", operation_id="show_entry")
    def show_entry(request: Request, token: str) -> Response:
        mailbox = door.mailbox_of(token, Scope.PROVE)
        return _press(door, pages, request, mailbox, ("enter", "open"))

    @router.post("/enter/{token}")
    def enter(request: Request, token: str) -> Response:
        mailbox = None if is_from_elsewhere(door, request) else _used(door, token, Scope.PROVE)
        if mailbox is None:
            return refused(door, pages, request)
        answer = RedirectResponse(f"/own?lang={pages.language(request)}", status_code=303)
        expiry = Expiry(door.now() + SESSION_LASTS, token_bytes(NONCE_BYTES))
        session = sign_token(Scope.SESSION, mailbox.contact_point_id, door.keys.current(), expiry=expiry)
        lasts = int(SESSION_LASTS.total_seconds())
        answer.set_cookie(door.cookie, session, max_age=lasts, secure=door.is_https, httponly=True, samesite="strict")
        return answer

    @router.head("/move/{token}", include_in_schema=False)
    @router.get("/move/{token}", operation_id="show_move")
    def show_move(request: Request, token: str) -> Response:
        mailbox = door.mailbox_of(token, Scope.MOVE)
        return _press(door, pages, request, mailbox, ("move", "confirm"))

    @router.post("/move/{token}")
    def move(request: Request, token: str) -> Response:
        mailbox = None if is_from_elsewhere(door, request) else _used(door, token, Scope.MOVE)
        if mailbox is None:
            return refused(door, pages, request)
        t = pages.texts(request)
        return pages.show(
            request, "message", heading=t["done"]["heading"], lines=[t["move"]["done"]], is_readable=False
        )


def _press(door: Door, pages: Pages, request: Request, mailbox: Mailbox | None, words: tuple[str, str]) -> Response:
    if mailbox is None or not mailbox.is_open:
        return refused(door, pages, request)
    texts = pages.texts(request)[words[0]]
    return pages.show(request, "press", texts=texts, label=texts[words[1]])


def _used(door: Door, token: str, scope: Scope) -> Mailbox | None:
    """The mailbox of a one-time link that is used up by this; with a change of address the request is recorded."""
    mailbox = door.mailbox_of(token, scope)
    if mailbox is None or not mailbox.is_open:
        return None
    with door.transaction() as conn:
        if not use_proof(conn, mailbox.contact_point_id, token, now=door.now()):
            return None
        if scope is Scope.MOVE:
            add_request(conn, mailbox.contact_point_id, "move", new_address=mailbox.new_address)
    return mailbox


def _mailbox(door: Door, request: Request) -> Mailbox | None:
    return door.mailbox_of(request.cookies.get(door.cookie, ""), Scope.SESSION)


def _deed_route(router: APIRouter, door: Door, pages: Pages, name: str, deed: Deed) -> None:
    @router.post(f"/own/{name}", operation_id=f"own_{name}", openapi_extra={"requestBody": _FORM})
    async def act(request: Request) -> Response:
        body = await read_body(request)

        def work() -> Response:
            mailbox, form = _mailbox(door, request), read_form(body)
            token, shown = read_form_field(form.get("form", [""])[0])
            if mailbox is None or not _is_from_page(door, request, token, mailbox.contact_point_id):
                return refused(door, pages, request)
            said = deed(Asked(door, pages, request, mailbox, form, shown))
            return _show(door, pages, request, mailbox, said) if isinstance(said, str) else said

        return await run_in_threadpool(work)


def _is_from_page(door: Door, request: Request, token: str, contact_point_id: UUID) -> bool:
    """Whether a form was posted from our own page for this very session (no other site can have made it)."""
    if is_from_elsewhere(door, request):
        return False
    mailbox = door.mailbox_of(token, Scope.FORM)
    return mailbox is not None and mailbox.contact_point_id == contact_point_id


def _show(door: Door, pages: Pages, request: Request, mailbox: Mailbox, said: str = "") -> Response:
    with door.transaction() as conn:
        data = read_own_data(conn, mailbox.contact_point_id, now=door.now())
    expiry = Expiry(door.now() + SESSION_LASTS, token_bytes(NONCE_BYTES))
    token = sign_token(Scope.FORM, mailbox.contact_point_id, door.keys.current(), expiry=expiry)
    view = own_view(data, door.workspace.policy, pages.texts(request))
    form = form_field(token, view)
    is_readable = request.method in ("GET", "HEAD")
    return pages.show(request, "own", said=said, form=form, address=mailbox.address, is_readable=is_readable, **view)
