"""Double opt-in: a sign-up waits until its person follows the link from the mailbox; nobody else can complete it.

A form asks for it in its mapping (`double_opt_in`). The link's token is made and checked here; a page mails it and shows
a button. Only the signing keys make a token, and no command prints one, so staff cannot confirm for a person (I19).
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping

from connectors.store import pending
from connectors.store.merge import refresh_addresses
from pipelines.operations.acts import Act, ActEvidence, Deed, fold_request, record_acts
from pipelines.operations.sessions import Session
from pipelines.transforms.preference_links import (
    NONCE_BYTES,
    Expiry,
    LinkKey,
    Scope,
    keys_by_mark,
    read_token,
    sign_token,
)
from schemas.acts import DOUBLE_OPT_IN
from schemas.consent import Actor
from schemas.errors import ActRefused


@dataclass(frozen=True, slots=True)
class ToConfirm:
    """A sign-up whose link is to be mailed: where to, in which language, what it is for, until when it is good."""

    confirmation_id: UUID
    address: str = field(repr=False)
    token: str = field(repr=False)
    language: str
    purposes: tuple[str, ...]
    topics: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What following a link did. `is_new` False: it was followed before, and nothing changed."""

    purposes: tuple[str, ...]
    topics: tuple[str, ...]
    events: tuple[UUID, ...]
    is_new: bool


def confirmations_to_mail(session: Session, *, limit: int = 100) -> list[ToConfirm]:
    """The sign-ups whose link was not mailed yet, oldest first."""
    key = session.workspace.keys.current("link")
    with session.transaction() as conn:
        rows = pending.to_mail(conn, now=session.workspace.now(), limit=limit)
    return [_to_confirm(row, LinkKey(key.key_id, key.secret)) for row in rows]


def mail_confirmation(session: Session, confirmation_id: UUID, mail: Callable[[], bool]) -> bool:
    """Have a link mailed and remember it, once the mail server has it; no two processes mail the same one at once.

    False where it was mailed before, waits no more, or is just being mailed, and where `mail` tells that it was not taken.
    Then, and where `mail` raises, it waits as before; it may be mailed twice where the store is lost just after it was taken.
    """
    with session.transaction() as conn:
        is_ours = pending.claim_unmailed(conn, confirmation_id, now=session.workspace.now())
        return is_ours and mail() and pending.mark_mailed(conn, confirmation_id, now=session.workspace.now())


def confirm(session: Session, token: str) -> Confirmed:
    """Make grants of the sign-up that a token names, as of now; following it again changes nothing.

    Raises ActRefused (`confirmation_unknown`) for a token that is forged, expired or of a sign-up that is not there.
    """
    now = session.workspace.now()
    claim = read_token(token, Scope.CONFIRM, _keys(session), now=now)
    with session.transaction() as conn:
        parts = pending.find_pending(conn, claim.contact_point_id)
        if not claim.is_good or not parts or parts[0]["expires_at"] <= now:
            raise ActRefused(
                "confirmation_unknown", "This link is not good, or not any more. Sign up again for a new one."
            )
        if parts[0]["confirmed_at"] is not None:
            return _confirmed(parts, (), is_new=False)
        events = record_acts(session, conn, [_act(part, now) for part in parts])
        points = pending.close_confirmed(conn, parts[0], now=now)
        if points:
            refresh_addresses(conn, fold_request(session), points)
    return _confirmed(parts, events, is_new=True)


def forget_expired(session: Session) -> int:
    """Forget the sign-ups whose time is over; how many parts of them."""
    with session.transaction() as conn:
        return pending.forget_expired(conn, now=session.now)


def _keys(session: Session) -> dict[bytes, LinkKey]:
    return keys_by_mark([LinkKey(key.key_id, key.secret) for key in session.workspace.keys.all_keys("link")])


def _to_confirm(row: RowMapping, key: LinkKey) -> ToConfirm:
    expiry = Expiry(row["expires_at"], secrets.token_bytes(NONCE_BYTES))
    return ToConfirm(
        confirmation_id=row["confirmation_id"],
        address=row["address"],
        token=sign_token(Scope.CONFIRM, row["confirmation_id"], key, expiry=expiry),
        language=row["language"],
        purposes=tuple(row["purposes"]),
        topics=tuple(row["topics"] or ()),
        expires_at=row["expires_at"],
    )


def _act(part: RowMapping, now: datetime) -> Act:
    evidence = ActEvidence(
        request_reference=part["confirmation_id"].hex,
        channel=part["channel"],
        wording_hash=part["wording_hash"],
        notice_version=part["notice_version"],
        method=DOUBLE_OPT_IN,
    )
    return Act(
        deed=Deed.GRANT,
        purposes=(part["purpose"],),
        topics=(part["topic"],) if part["topic"] else (),
        actor=Actor.SUBJECT,
        clock=DOUBLE_OPT_IN,
        occurred_at=now,
        evidence=evidence,
        address=part["address"],
        given_name=part["given_name"],
        family_name=part["family_name"],
    )


def _confirmed(parts: Sequence[RowMapping], events: Sequence[UUID], *, is_new: bool) -> Confirmed:
    topics = tuple(part["topic"] for part in parts if part["topic"])
    return Confirmed(tuple(sorted({part["purpose"] for part in parts})), topics, tuple(events), is_new)
