"""The page behind a newsletter's link, and one-click unsubscribing (RFC 8058). It shows nobody's data.

Whoever has the link may lower and nothing else: leave all, leave a topic, object to news of similar events; or have a
one-time link mailed to the mailbox. GET and HEAD change nothing, whoever follows the link (mail scanners do).
"""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from connectors.store.mailbox_proofs import Mailbox, find_by_address
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.preference_links import Scope
from preferences import recording
from preferences.answers import (
    FormRefused,
    client_of,
    mail_answer,
    mail_proof,
    read_body,
    read_form,
    refused,
    too_many,
)
from preferences.door import Door
from preferences.languages import Texts
from preferences.rendering import Pages

ONE_CLICK = b"List-Unsubscribe=One-Click"
_PAGE, _ONE_CLICK = "preference_page", "one_click"
_FORM = {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}, "required": False}


def newsletter_router(door: Door, pages: Pages) -> APIRouter:
    """The routes of the link."""
    router = APIRouter(tags=["link"])
    _show_routes(router, door, pages)
    _act_routes(router, door, pages)
    _mail_routes(router, door, pages)
    return router


def _show_routes(router: APIRouter, door: Door, pages: Pages) -> None:
    @router.head("/p/{token}", include_in_schema=False)
    @router.get("/p/{token}", operation_id="show_link")
    @router.head("/one-click/{token}", include_in_schema=False)
    @router.get("/one-click/{token}", operation_id="show_one_click")
    def show(request: Request, token: str) -> Response:
        mailbox = door.mailbox_of(token, Scope.WITHDRAW)
        if mailbox is None:
            return refused(door, pages, request)
        return pages.show(request, "link", token=token, topics=_topics(door))


def _act_routes(router: APIRouter, door: Door, pages: Pages) -> None:
    @router.post("/one-click/{token}", openapi_extra={"requestBody": _FORM})
    async def one_click(request: Request, token: str) -> Response:
        """RFC 8058, 3.2: the one field, as a form or as multipart; no cookie, no redirect."""
        body = await read_body(request)

        def leave() -> Response:
            mailbox = door.mailbox_of(token, Scope.WITHDRAW)
            if mailbox is None:
                return refused(door, pages, request)
            if not _is_one_click(body):
                raise FormRefused
            recording.leave_all(door, mailbox.contact_point_id, channel=_ONE_CLICK)
            return PlainTextResponse("Unsubscribed.\n")

        return await run_in_threadpool(leave)

    @router.post("/p/{token}/leave")
    def leave(request: Request, token: str) -> Response:
        mailbox = door.mailbox_of(token, Scope.WITHDRAW)
        if mailbox is None:
            return refused(door, pages, request)
        recording.leave_all(door, mailbox.contact_point_id, channel=_PAGE)
        return _done(pages, request, token, ("left", "when", "undo"))

    @router.post("/p/{token}/object")
    def object_to_related(request: Request, token: str) -> Response:
        mailbox = door.mailbox_of(token, Scope.WITHDRAW)
        if mailbox is None:
            return refused(door, pages, request)
        recording.object_to_related(door, mailbox.contact_point_id, channel=_PAGE)
        return _done(pages, request, token, ("objected", "when"))

    @router.post("/p/{token}/topic", openapi_extra={"requestBody": _FORM})
    async def leave_topic(request: Request, token: str) -> Response:
        body = await read_body(request)
        return await run_in_threadpool(_leave_topic, door, pages, request, (token, body))


def _leave_topic(door: Door, pages: Pages, request: Request, posted: tuple[str, bytes]) -> Response:
    token, body = posted
    mailbox = door.mailbox_of(token, Scope.WITHDRAW)
    if mailbox is None:
        return refused(door, pages, request)
    topic = read_form(body).get("topic", [""])[0]
    if topic not in _topics(door):
        raise FormRefused
    recording.leave_topic(door, mailbox.contact_point_id, topic, channel=_PAGE)
    return _done(pages, request, token, ("topic_off", "when", "undo"), topic=topic)


def _mail_routes(router: APIRouter, door: Door, pages: Pages) -> None:
    @router.post("/p/{token}/manage")
    def manage(request: Request, token: str) -> Response:
        mailbox: Mailbox | None = door.mailbox_of(token, Scope.WITHDRAW)
        if mailbox is None:
            return refused(door, pages, request)
        if not door.mails.admits(client_of(request)):
            return too_many(pages, request)
        to = (mailbox.contact_point_id, mailbox.address)
        mail_proof(door, pages.texts(request), pages.language(request), to)
        return mail_answer(door, pages, request)

    @router.head("/", include_in_schema=False)
    @router.get("/", operation_id="start")
    def start(request: Request) -> Response:
        """The policy's own link, which names nobody: ask for a mail."""
        return pages.show(request, "refused", is_readable=False)

    @router.post("/ask", openapi_extra={"requestBody": _FORM})
    async def ask(request: Request) -> Response:
        body = await read_body(request)
        return await run_in_threadpool(_ask, door, pages, request, body)


def _ask(door: Door, pages: Pages, request: Request, body: bytes) -> Response:
    """Whether the address is known, nobody can tell: not by the answer, and not by its time."""
    if not door.mails.admits(client_of(request)):
        return too_many(pages, request)
    typed = canonical_address(read_form(body).get("address", [""])[0][:200])
    texts, language = pages.texts(request), pages.language(request)
    door.mailer.run(lambda: _mail_if_known(door, texts, language, typed.key))
    return mail_answer(door, pages, request)


def _mail_if_known(door: Door, texts: Texts, language: str, key: str | None) -> None:
    if key is None:
        return
    with door.transaction() as conn:
        found = find_by_address(conn, key)
    if found is not None:
        mail_proof(door, texts, language, found)


def _topics(door: Door) -> tuple[str, ...]:
    marketing = door.workspace.policy.purposes.get(recording.MARKETING)
    return marketing.topics if marketing else ()


def _is_one_click(body: bytes) -> bool:
    compact = body.strip()
    return compact == ONE_CLICK or (b'name="List-Unsubscribe"' in compact and b"One-Click" in compact)


def _done(pages: Pages, request: Request, token: str, said: Sequence[str], *, topic: str = "") -> Response:
    texts = pages.texts(request)
    t, named = texts["done"], texts["topics"].get(topic, topic)
    lines = [t[words].format(topic=named) for words in said]
    return pages.show(request, "message", heading=t["heading"], lines=lines, back=f"/p/{token}", is_readable=False)
