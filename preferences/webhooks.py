"""Webhooks: a pushed form is told genuine, its body landed as received, and answered 202; reading it comes afterwards.

A static secret (Drupal can send nothing else) in `Authorization: Bearer` or `X-Intake-Key`; Typeform's signature of the
body; or, for anything else, an HMAC-SHA256 of time and body, good for a few minutes. Two secrets may be alive at once.
A delivery told again is landed once, unless its submission said something else in between and tells no time of change.
What a webhook misses, the night's pull brings.
"""

import base64
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.batches import delivered_batch
from connectors.decoders import MediaType
from connectors.pushed_forms import PushedType, pushed_row, submission_id_of
from connectors.store import narrow_calls
from connectors.store.webhook_deliveries import Delivery, is_first_sight, land_delivery
from preferences.answers import BodyTooLarge, client_of, read_body
from preferences.door import Door
from preferences.recording import again
from preferences.secrets_file import Webhook
from schemas.errors import BatchRefused

MOST_BYTES = 256 * 1024
_BODY = {
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
    },
    "required": True,
}
_TOO_LARGE = (
    "The body is larger than 256 kB. In Drupal switch 'file_data' off in the handler's advanced settings: files are not "
    "taken."
)
_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "Landed, or known already."},
    401: {"description": "Not genuine."},
    413: {"description": "Too large."},
    422: {"description": "Genuine, but no submission of this form."},
    503: {"description": "The store is away: send it again."},
}


@dataclass(frozen=True)
class _Posted:
    feed: str
    headers: Headers
    body: bytes
    now: datetime
    window_s: int = 0


def webhook_router(door: Door) -> APIRouter:
    """The route of the feeds that have a secret."""
    router = APIRouter(tags=["webhooks"])

    @router.post(
        "/hooks/{feed}", status_code=202, openapi_extra={"requestBody": _BODY}, responses=_ANSWERS, response_model=None
    )
    async def receive(request: Request, feed: str) -> Response:
        try:
            body = await read_body(request, MOST_BYTES)
        except BodyTooLarge:
            return JSONResponse({"error": _TOO_LARGE}, status_code=413)
        return await run_in_threadpool(
            _receive, door, client_of(request), _Posted(feed, request.headers, body, door.now())
        )

    return router


def _receive(door: Door, client: str, posted: _Posted) -> Response:
    hook = door.secrets.webhooks.get(posted.feed)
    signature = b"" if hook is None else _genuine(hook, replace(posted, window_s=hook.window_s))
    if hook is None or not signature:
        status = 401 if door.refusals.admits(client) else 429
        return JSONResponse({"error": "Not genuine: check the secret and the clock."}, status_code=status)
    try:
        delivery = _delivery(door, hook, posted)
    except BatchRefused as refused:
        return JSONResponse({"error": str(refused), "code": refused.code}, status_code=422)
    # A static secret signs no body: whoever has it may say the same again.
    mark = None if hook.engine == "drupal" else signature
    is_new = again(door, lambda conn: _landed(door, conn, delivery, mark))
    return JSONResponse({"status": "landed" if is_new else "known"}, status_code=202)


def _landed(door: Door, conn: Connection, delivery: Delivery, mark: bytes | None) -> bool:
    """Land it once, and by one `mark` once; whoever follows the door is woken."""
    keep = timedelta(days=door.workspace.policy.retention.landing_days)
    if mark is not None and not is_first_sight(conn, delivery.received.feed, mark):
        return False
    is_new = land_delivery(conn, delivery, keys=door.workspace.keys, keep=keep)
    narrow_calls.call(conn, [])
    return is_new


def _delivery(door: Door, hook: Webhook, posted: _Posted) -> Delivery:
    media_type = _media_type(hook, posted.headers)
    mapping = door.workspace.mappings[posted.feed]
    submission_id = submission_id_of(pushed_row(media_type, posted.body), mapping)
    timezone = door.workspace.policy.organisation.timezone
    received = delivered_batch(mapping, media_type, posted.body, received_at=door.now(), timezone=timezone)
    return Delivery(received, submission_id, tells_change=mapping.changed_at is not None)


def _media_type(hook: Webhook, headers: Headers) -> MediaType | PushedType:
    if hook.engine == "typeform":
        return PushedType.TYPEFORM
    if hook.engine == "json":
        return MediaType.JSON
    is_json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    return PushedType.DRUPAL_JSON if is_json else PushedType.DRUPAL_FORM


def _genuine(hook: Webhook, posted: _Posted) -> bytes:
    """What makes the delivery one of a kind, where one of the live secrets made it; else nothing."""
    check = {"drupal": _has_secret, "typeform": _is_signed, "json": _is_signed_in_time}[hook.engine]
    found = [check(secret.get_secret_value().encode(), posted) for secret in hook.secrets]
    return next(filter(None, found), b"")


def _has_secret(secret: bytes, posted: _Posted) -> bytes:
    sent = posted.headers.get("x-intake-key") or posted.headers.get("authorization", "").removeprefix("Bearer ")
    is_same = hmac.compare_digest(sent.encode(), secret)
    return sha256(posted.body).digest() if is_same else b""


def _is_signed(secret: bytes, posted: _Posted) -> bytes:
    """Typeform signs the body: `Typeform-Signature: sha256=` and base64 of HMAC-SHA256."""
    mac = hmac.new(secret, posted.body, sha256).digest()
    wanted = b"sha256=" + base64.b64encode(mac)
    return mac if hmac.compare_digest(posted.headers.get("typeform-signature", "").encode(), wanted) else b""


def _is_signed_in_time(secret: bytes, posted: _Posted) -> bytes:
    """`X-Intake-Timestamp` (unix seconds) and `X-Intake-Signature: sha256=` with hex of HMAC-SHA256 over both."""
    stamp = posted.headers.get("x-intake-timestamp", "")
    mac = hmac.new(secret, stamp.encode() + b"." + posted.body, sha256)
    sent = posted.headers.get("x-intake-signature", "")
    is_same = hmac.compare_digest(sent.encode(), f"sha256={mac.hexdigest()}".encode())
    return mac.digest() if is_same and _is_recent(stamp, posted.window_s, posted.now) else b""


def _is_recent(stamp: str, window_s: int, now: datetime) -> bool:
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 11):
        return False
    return abs((now - datetime.fromtimestamp(int(stamp), UTC)).total_seconds()) <= window_s
