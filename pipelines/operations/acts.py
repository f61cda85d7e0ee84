"""Recording single acts: the one way in which what a person or staff did, outside any file, becomes consent events.

The preference page, one-click withdrawals, double opt-in, the commands for rights and `consent record` all come here.
Durable in one transaction: the events with their evidence, the address's folded state, the raising writes that must not
go out any more, and the address's version, so that the next plan (or the plan under way) sees it. An act told again is
the same event. A withdrawal from an address nobody knew keeps event and suppression, and makes no person.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from connectors.store import narrow_calls, pending
from connectors.store.acts import Addressee, append_acts, find_addressees, has_wording, is_child
from connectors.store.merge import ACT, MergeRequest, StagedTables
from connectors.store.tombstones import erased_at
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.children import MARKETING_BASES
from pipelines.transforms.decisions import MARKETING, OBJECTION, RELATED_EVENTS
from pipelines.transforms.emails import canonical_address, is_role_address
from pipelines.transforms.identity import resolve_subjects
from pipelines.transforms.names import given_name_key
from pipelines.transforms.row_ids import row_id
from pipelines.transforms.wordings import wording_row
from schemas.acts import DOUBLE_OPT_IN, Act, ActEvidence, Deed, ShownWording, covered, missing_of
from schemas.consent import NAMELESS, Actor, effective_at
from schemas.errors import ActRefused, StoreError
from schemas.policy import Policy
from schemas.purposes import Begin

__all__ = ["Act", "ActEvidence", "Deed", "ShownWording", "record_acts"]

_ATTEMPTS = 3
_JUST_NOW = timedelta(minutes=1)
_OWN = frozenset({Actor.SUBJECT, Actor.GUARDIAN, Actor.STAFF_ON_BEHALF})
_WITHOUT_GRANT = frozenset({Actor.STAFF, Actor.IMPORT})
# What the notice was is kept from when the link was mailed; the policy can have dropped it since.
_ASKED_BEFORE = frozenset({DOUBLE_OPT_IN})
_ALLOWED_AGAIN = frozenset({Begin.SALE_WITH_NOTICE, Begin.REGISTRATION_WITH_NOTICE, Begin.PARTICIPATION})


def record_acts(session: Session, conn: Connection | None, acts: Sequence[Act]) -> list[UUID]:
    """Append the acts to the ledger, all or none, in the caller's transaction or (`conn` None) in one of its own.

    Returns the ids of their events, also of those that were there already. What lowers calls for the CRM to be told at once.
    Raises ActRefused where a grant is not a full record, is staff's own, or speaks of what nobody can grant; where the purpose
    or topic is not of the policy; and where it is not clear whom an act is about.
    """
    if conn is not None:
        return _record(session, conn, acts)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with session.transaction() as own:
                return _record(session, own, acts)
        except StoreError as refused:
            if not refused.transient or attempt == _ATTEMPTS:
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError("every attempt returns or raises")


def _record(session: Session, conn: Connection, acts: Sequence[Act]) -> list[UUID]:
    policy = session.workspace.policy
    whole = [_with_objection(act, policy) for act in acts]
    for act in whole:
        _require_allowed(act, policy)
    rows = [_row(session, conn, act, row_no) for row_no, act in enumerate(whole, 1)]
    decisions = [one for row_no, act in enumerate(whole, 1) for one in _decisions(session, conn, act, row_no)]
    wordings = [_wording_row(act.evidence.wording) for act in whole if act.evidence.wording is not None]
    request = fold_request(session, wordings)
    events = append_acts(conn, request, rows=rows, decisions=decisions, resolve=resolve_subjects)
    if any(act.deed is not Deed.GRANT for act in whole):
        narrow_calls.call_by_events(conn, events)
    return events


def _with_objection(act: Act, policy: Policy) -> Act:
    """Leaving marketing as a whole is an objection to news of similar events as well; not the other way round."""
    lowers_whole = act.deed is not Deed.GRANT and act.actor in _OWN and MARKETING in act.purposes and not act.topics
    if act.is_carried or not lowers_whole or RELATED_EVENTS not in policy.purposes or RELATED_EVENTS in act.purposes:
        return act
    return replace(act, purposes=(*act.purposes, RELATED_EVENTS))


def _require_allowed(act: Act, policy: Policy) -> None:
    if not act.purposes or (act.topics and len(act.purposes) > 1):
        raise ActRefused("no_purpose", "An act names purposes as a whole, or topics of one purpose.")
    for purpose, topic in covered(act):
        known = policy.purposes.get(purpose)
        if known is None or (topic is not None and topic not in known.topics):
            what = purpose if topic is None else f"{purpose}, topic {topic}"
            raise ActRefused("unknown_purpose", f"The policy has no {what}. Name one of config/intake.yaml.")
        if act.deed is Deed.GRANT and known.begins is not Begin.GRANT and known.begins not in _ALLOWED_AGAIN:
            raise ActRefused("not_by_consent", f"Nobody can grant {purpose}: it does not begin with a person's grant.")
        if act.deed is not Deed.GRANT and not known.is_lowered_by:
            raise ActRefused("no_such_right", f"{purpose} rests on {known.basis}: it ends by itself, or by erasure.")
    if act.deed is Deed.GRANT and act.actor in _WITHOUT_GRANT:
        raise ActRefused("not_the_person", "Staff only restrict. A grant is the person's: record who said it and how.")
    if missing := missing_of(act):
        raise ActRefused("incomplete_record", f"A grant without {', '.join(missing)} is no grant (GDPR Art. 7(1)).")
    if act.deed is Deed.GRANT and act.clock not in _ASKED_BEFORE and act.evidence.notice_version not in policy.notices:
        raise ActRefused(
            "unknown_notice",
            "A grant names the privacy notice that was shown: one of those under notices in config/intake.yaml.",
        )
    if act.occurred_at.tzinfo is None or not act.evidence.request_reference:
        raise ActRefused("incomplete_act", "An act has a time with its zone, and a reference of its own.")


def _row(session: Session, conn: Connection, act: Act, row_no: int) -> dict[str, Any]:
    addressee = _addressee(conn, act)
    given_key = addressee.given_key or given_name_key(act.given_name) or NAMELESS
    _require_not_erased(session, conn, act, addressee, given_key)
    grants = act.deed is Deed.GRANT
    if grants and addressee.is_role_address:
        raise ActRefused("role_address", "A role address is nobody's own: it can withdraw, but not grant.")
    if grants and act.actor is not Actor.SUBJECT and _waits(session, conn, act, addressee.address_key):
        raise ActRefused(
            "awaiting_confirmation",
            "The person has not followed the link in the mailbox yet; staff cannot do it for them.",
        )
    if grants:
        _require_of_age(session, conn, act, addressee, given_key)
    salt = UUID(bytes=session.workspace.keys.current("guid_salt").secret[:16])
    return {
        "row_no": row_no,
        "source": act.clock,
        "submission_id": act.evidence.request_reference,
        "address": addressee.address,
        "address_key": addressee.address_key,
        "is_role_address": addressee.is_role_address,
        "given_key": given_key,
        "given_name": act.given_name,
        "family_name": act.family_name,
        "maker_id": str(row_id(salt, f"{act.clock}|{act.evidence.request_reference}")),
        "received_at": session.workspace.now(),
        "version_at": act.occurred_at,
        "has_ground": grants,
        "withdraws": not grants,
        "of_age_at": act.occurred_at if act.is_of_age else None,
    }


def _require_of_age(session: Session, conn: Connection, act: Act, addressee: Addressee, given_key: str) -> None:
    """Nobody who is known as a child is marketed to, nor whom a guardian speaks for without a word of their age."""
    purposes = session.workspace.policy.purposes
    if act.is_of_age or not any(purposes[name].basis in MARKETING_BASES for name in act.purposes):
        return
    point = addressee.contact_point_id
    if act.actor is Actor.GUARDIAN or (point is not None and is_child(conn, point, given_key)):
        raise ActRefused(
            "child",
            f"Nobody younger than {session.workspace.policy.marketing_age} is marketed to. Where the person is older,"
            " ask, and record it with `crm-intake consent record --of-age`.",
        )


def _waits(session: Session, conn: Connection, act: Act, key: str) -> bool:
    now = session.workspace.now()
    return any(pending.waits(conn, key, purpose, topic, now=now) for purpose, topic in covered(act))


def _require_not_erased(session: Session, conn: Connection, act: Act, addressee: Addressee, given_key: str) -> None:
    """What somebody did before they were erased does not count any more; what they do afterwards does. Where the address is
    known again it can be lowered by whatever was done: lowering never waits. Nor is anybody asked for it who acts now.
    """
    is_known = addressee.contact_point_id is not None
    if is_known and (act.deed is not Deed.GRANT or act.occurred_at > session.now - _JUST_NOW):
        return
    gone_at = erased_at(conn, addressee.address_key, session.workspace.keys, given_key=given_key)
    if gone_at is not None and act.occurred_at <= gone_at:
        raise ActRefused("erased", "Whoever had this address was erased after that act; only a later act counts.")


def _addressee(conn: Connection, act: Act) -> Addressee:
    typed = canonical_address(act.address) if act.address is not None else None
    if typed is not None and (typed.key is None or typed.address is None):
        raise ActRefused("no_address", "What was given is not an e-mail address.")
    key = typed.key if typed else None
    found = find_addressees(conn, person_id=act.person_id, contact_point_id=act.contact_point_id, address_key=key)
    if len(found) > 1 or (found and act.person_id is not None and found[0].given_key is None):
        raise ActRefused(
            "not_clear_whose", "The person, the contact point and the address given do not belong together."
        )
    if found:
        return found[0]
    if typed is None or act.person_id is not None or act.contact_point_id is not None:
        raise ActRefused("unknown_person", "Nobody is known by that id.")
    return Addressee(None, str(typed.address), str(typed.key), is_role_address(str(typed.key)), None)


def _decisions(session: Session, conn: Connection, act: Act, row_no: int) -> list[dict[str, Any]]:
    value, evidence = act.deed.value_of_event, act.evidence
    latest = act.occurred_at + timedelta(seconds=act.precision_s)
    at = effective_at(value, act.occurred_at, latest, session.workspace.now())
    if evidence.wording_hash and evidence.wording is None and not has_wording(conn, evidence.wording_hash):
        raise ActRefused("unknown_wording", "No wording is kept under that hash; give the very words.")
    common = {
        "row_no": row_no,
        "value": str(value),
        "actor": str(act.actor),
        "clock": act.clock,
        "occurred_at": act.occurred_at,
        "precision_s": act.precision_s,
        "effective_at": at,
        "channel": evidence.channel,
        "wording_hash": _hash_of(act),
        "notice_version": evidence.notice_version,
        "collected_by": evidence.collected_by,
        "method": evidence.method,
    }
    return [
        {**common, "purpose": purpose, "topic": topic, "reason": _reason(act, purpose)}
        for purpose, topic in covered(act)
    ]


def _reason(act: Act, purpose: str) -> str | None:
    """Why: what was given; objecting is always told apart from withdrawing (invariant 3)."""
    if act.deed is Deed.OBJECT or (act.deed is Deed.WITHDRAW and purpose == RELATED_EVENTS):
        return OBJECTION
    return act.reason


def _hash_of(act: Act) -> str | None:
    wording = act.evidence.wording
    return _wording_row(wording)["wording_hash"] if wording is not None else act.evidence.wording_hash


def _wording_row(wording: ShownWording) -> dict[str, str]:
    return wording_row(wording.text, language=wording.language, version=wording.version)


def fold_request(session: Session, wordings: Sequence[dict[str, str]] = ()) -> MergeRequest:
    """How acts are appended and addresses folded: no batch, no reading, the policy's rules."""
    return MergeRequest(
        batch_ids=[],
        run_id=session.run_id,
        source="",
        feed="",
        kind=ACT,
        mapping_hash="",
        now=session.now,
        raises=True,
        ledger_key=session.workspace.keys.current("ledger").secret,
        staged=StagedTables("", "t_decision", "", "", ""),
        rules=purpose_rules(session.workspace.policy),
        wordings=wordings,
    )
