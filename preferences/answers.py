"""Answers that several pages give alike: a link that is no good, a mail on its way; and reading what was posted."""

import ipaddress
import logging
from datetime import timedelta
from secrets import token_bytes
from urllib.parse import parse_qs
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse

from connectors.store.mailbox_proofs import add_proof, sent_since
from pipelines.transforms.preference_links import NONCE_BYTES, Expiry, Scope, sign_token
from preferences.door import Door
from preferences.languages import Texts
from preferences.rendering import Pages

LOG = logging.getLogger(__name__)
MOST_BYTES = 8 * 1024
PROOF_LASTS = timedelta(hours=1)
_MAILS_AN_HOUR = 5


class BodyTooLarge(Exception):
    """More was posted than any form of ours has."""


class FormRefused(Exception):
    """What was posted is no form of ours."""


async def read_body(request: Request, limit: int = MOST_BYTES) -> bytes:
    """The body, never more of it in memory than `limit` bytes; BodyTooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge
    return body


def read_form(body: bytes) -> dict[str, list[str]]:
    """The fields of a form posted by a browser (application/x-www-form-urlencoded); FormRefused."""
    try:
        return parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError:
        raise FormRefused from None


def client_of(request: Request) -> str:
    """Who asks, for limits alone: an address of the network; of IPv6 its /64, for one client has a whole one."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))


def is_from_elsewhere(door: Door, request: Request) -> bool:
    """Whether a browser says that another site made this request.

    Pages without a referrer post with the origin `null`, ours too: https://fetch.spec.whatwg.org/#origin-header
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    return request.headers.get("origin", "null") not in ("null", door.origin)


def refused(door: Door, pages: Pages, request: Request) -> HTMLResponse:
    """The one answer to every link that is no good, whatever is wrong with it."""
    if not door.refusals.admits(client_of(request)):
        return too_many(pages, request)
    return pages.show(request, "refused", status=404, is_readable=False)


def too_many(pages: Pages, request: Request) -> HTMLResponse:
    """Not so often."""
    t = pages.texts(request)["errors"]
    answer = pages.show(request, "message", status=429, heading=t["many_heading"], lines=[t["many"]], is_readable=False)
    answer.headers["Retry-After"] = "60"
    return answer


def mail_answer(door: Door, pages: Pages, request: Request) -> HTMLResponse:
    """The one answer to every wish for a mail, whether the address is known or not: that it is sent, or cannot be now."""
    if not door.mailer.is_set:
        LOG.error("A link was asked for, and none can be mailed. No mail server is set: INTAKE_SMTP_HOST.")
        t = pages.texts(request)["errors"]
        said = t["no_mail"].format(contact=pages.contact)
        return pages.show(request, "message", status=503, heading=t["no_mail_heading"], lines=[said], is_readable=False)
    t = pages.texts(request)["sent"]
    return pages.show(request, "message", heading=t["heading"], lines=[t["intro"]], is_readable=False)


def mail_proof(
    door: Door, texts: Texts, language: str, mailbox: tuple[UUID, str], *, new_address: str | None = None
) -> None:
    """Mail a one-time link to a mailbox, or to the new address that is to be proven; not more often than is of use.

    Without a mail server there is no link.
    """
    if not door.mailer.is_set:
        return
    contact_point_id, address = mailbox
    now = door.now()
    expires_at = now + PROOF_LASTS
    scope = Scope.MOVE if new_address else Scope.PROVE
    token = sign_token(
        scope, contact_point_id, door.keys.current(), expiry=Expiry(expires_at, token_bytes(NONCE_BYTES))
    )
    with door.transaction() as conn:
        if sent_since(conn, contact_point_id, now - timedelta(hours=1)) >= _MAILS_AN_HOUR:
            return
        add_proof(conn, token, contact_point_id, expires_at=expires_at, new_address=new_address)
    t, organisation = texts["mail"], door.workspace.policy.organisation.name
    link = f"{door.base_url}/{'move' if new_address else 'enter'}/{token}?lang={language}"
    until = f"{door.local(expires_at):%H.%M}"
    body = t["move_body" if new_address else "body"].format(link=link, until=until, organisation=organisation)
    door.mailer.send(new_address or address, t["move_subject" if new_address else "subject"], body)
