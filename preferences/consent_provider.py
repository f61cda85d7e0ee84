"""The live consent provider: may this contact point be used for this purpose, asked by Customer Insights - Journeys at
the moment of sending, and answered from the ledger's folded state (an external consent provider of a compliance profile).

It fails closed: what is not known, not agreed to, or cannot be looked up is no. Purposes and topics are named by their
row ids in the CRM or by our names. https://learn.microsoft.com/dynamics365/customer-insights/journeys/extend-consent
"""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.store.own_data import is_alive, is_granted, is_restricted
from pipelines.transforms.emails import canonical_address
from preferences.answers import BodyTooLarge, client_of, read_body
from preferences.door import Door
from schemas.errors import StoreError
from schemas.policy import RESTRICTED_KINDS, Basis, Policy

_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Not authenticated."},
    413: {"description": "Too large."},
    422: {"description": "No question."},
    503: {"description": "Not known now; treat it as no."},
}


class Question(BaseModel):
    """One question. `purpose` and `topic` are row ids of the CRM, or names of the policy."""

    model_config = ConfigDict(extra="forbid")

    contact_point: Annotated[str, Field(max_length=200)]
    purpose: Annotated[str, Field(max_length=100)]
    topic: Annotated[str | None, Field(max_length=100)] = None


class Answer(BaseModel):
    """Whether it may be sent, and why not: `no_grant`, `not_alive`, `restricted`, `unknown_purpose`, `no_address`,
    `store_away`."""

    allowed: bool
    reason: str | None = None


@dataclass(frozen=True)
class _Asked:
    purpose: str
    topic: str


def consent_router(door: Door) -> APIRouter:
    """The route of the provider; without a secret nobody is let in."""
    router = APIRouter(tags=["consent provider"])

    body = {"content": {"application/json": {"schema": Question.model_json_schema()}}, "required": True}

    @router.post("/consent/check", response_model=Answer, responses=_ANSWERS, openapi_extra={"requestBody": body})
    async def check(request: Request) -> Answer | Response:
        # Who is not let in has nothing read of what they send.
        if not _is_let_in(door, request.headers.get("authorization", "")):
            status = 401 if door.refusals.admits(client_of(request)) else 429
            return JSONResponse({"error": "Not authenticated."}, status_code=status)
        try:
            question = Question.model_validate_json(await read_body(request))
        except BodyTooLarge:
            return JSONResponse({"error": "Too large."}, status_code=413)
        except ValidationError as invalid:
            return JSONResponse({"error": _faults(invalid)}, status_code=422)
        return await run_in_threadpool(_answered, door, question)

    return router


def _answered(door: Door, question: Question) -> Answer | Response:
    try:
        return answer(door, question)
    except StoreError:
        closed = Answer(allowed=False, reason="store_away")
        return JSONResponse(closed.model_dump(), status_code=503, headers={"Retry-After": "5"})


def _faults(invalid: ValidationError) -> str:
    """Which fields are wrong, without what stood in them."""
    told = invalid.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in told)


def answer(door: Door, question: Question) -> Answer:
    """The ledger's word. Marketing needs a standing grant; what needs none must be alive and not objected to. Whoever has
    processing restricted gets what was registered for, and nothing else.
    """
    policy = door.workspace.policy
    asked = _asked(policy, question)
    if asked is None:
        return Answer(allowed=False, reason="unknown_purpose")
    key = canonical_address(question.contact_point).key
    if key is None:
        return Answer(allowed=False, reason="no_address")
    target, needs_grant = policy.crm.purposes.get(asked.purpose), policy.purposes[asked.purpose].basis is Basis.CONSENT
    is_promotion = needs_grant or (target is not None and target.kind in RESTRICTED_KINDS)
    with door.transaction() as conn:
        if is_promotion and is_restricted(conn, key):
            allowed, reason = False, "restricted"
        elif needs_grant:
            allowed, reason = is_granted(conn, key, asked.purpose, asked.topic, now=door.now()), "no_grant"
        else:
            allowed, reason = is_alive(conn, key, asked.purpose, now=door.now()), "not_alive"
    return Answer(allowed=allowed, reason=None if allowed else reason)


def _asked(policy: Policy, question: Question) -> _Asked | None:
    for name, purpose in policy.purposes.items():
        target = policy.crm.purposes.get(name)
        if question.purpose.lower() not in (name, str(target.purpose_id) if target else name):
            continue
        if question.topic is None:
            return _Asked(name, "")
        ids = {str(row_id): topic for topic, row_id in (target.topics if target else {}).items()}
        topic = ids.get(question.topic.lower(), question.topic)
        return _Asked(name, topic) if topic in purpose.topics else None
    return None


def _is_let_in(door: Door, authorization: str) -> bool:
    sent = authorization.removeprefix("Bearer ").encode()
    known = [hmac.compare_digest(sent, secret.get_secret_value().encode()) for secret in door.secrets.consent_provider]
    return any(known)
