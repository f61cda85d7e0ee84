"""Corrections that people make of themselves: a name at once; a proven new address by the next narrow synchronisation.

A change of address carries withdrawals, not grants: what somebody withdrew there is withdrawn here, and nothing else is;
newsletters are chosen anew, and the old address, which is read by somebody else from now on, gets none. Registrations go
along.
"""

import logging
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from connectors.store import corrections, data_requests, narrow_calls, person_requests
from connectors.store.corrections import Names, Withdrawn
from connectors.store.mailbox_proofs import find_by_address
from connectors.store.merge import MergeRequest, StagedTables, refresh_addresses
from connectors.store.person_requests import PersonRequest
from pipelines.operations.acts import record_acts
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.emails import canonical_address, is_role_address
from pipelines.transforms.identity import resolve_subjects
from pipelines.transforms.row_ids import row_id
from schemas.acts import Act, ActEvidence, Deed
from schemas.consent import Actor
from schemas.errors import ActRefused

LOG = logging.getLogger(__name__)

CLOCK = "preference_page"
MARKETING = "marketing"


def correct_name(session: Session, conn: Connection, contact_point_id: UUID, person_id: UUID, names: Names) -> bool:
    """Give a person the name that they gave; False where they are not known at the address."""
    if not corrections.correct_name(conn, contact_point_id, person_id, names, at=session.now):
        return False
    refresh_addresses(conn, _request(session), [contact_point_id])
    narrow_calls.call(conn, [contact_point_id])
    return True


def apply_moves(session: Session) -> int:
    """Carry out the open changes of address, each in a transaction of its own; returns how many.

    One that cannot be carried out is refused, and is a rectification for staff: nobody else's waits for it.
    """
    with session.transaction() as conn:
        moves = person_requests.open_requests(conn, "move")
    for move in moves:
        try:
            with session.transaction() as conn:
                if _move(session, conn, move):
                    person_requests.close_request(conn, move.request_id, "done")
                else:
                    _refer(conn, move, "several people read it, or it is the same one")
        except ActRefused as refused:
            with session.transaction() as conn:
                _refer(conn, move, refused.code)
    return len(moves)


def _refer(conn: Connection, move: PersonRequest, why: str) -> None:
    """Leave to staff what cannot be carried out: it was proven, and is owed an answer (GDPR Art. 12(3), 16)."""
    data_requests.refer_move(conn, move.request_id)
    person_requests.close_request(conn, move.request_id, "refused")
    LOG.warning(
        "A change of address was refused (%s), and is open for staff as request %s: `crm-intake privacy requests list`.",
        why,
        move.request_id,
    )


def _move(session: Session, conn: Connection, move: PersonRequest) -> bool:
    """Forbid there what is forbidden here, leave marketing here, take the person there.

    Refused where several people read the address: what it says is not one person's to take along, or to end.
    """
    here, typed = move.contact_point_id, canonical_address(move.new_address or "")
    persons = corrections.persons_at(conn, here)
    if typed.key is None or typed.address is None or len(persons) > 1:
        return False
    to_id = _address_id(session, conn, move, address=typed.address, key=typed.key)
    if to_id == here:
        return False
    reference = f"move:{move.request_id}"
    carried = [
        replace(_withdrawal(session, reference, one, contact_point_id=to_id), is_carried=True)
        for one in _withdrawn(session, conn, here)
    ]
    left = _withdrawal(session, reference, Withdrawn(MARKETING, "", Actor.SUBJECT), contact_point_id=here)
    record_acts(session, conn, [*carried, left])
    for person in persons:
        corrections.move_person(conn, person, from_id=here, to_id=to_id, at=session.now)
    refresh_addresses(conn, _request(session), [here, to_id], resolve=resolve_subjects)
    narrow_calls.call(conn, [here, to_id])
    return True


def _withdrawn(session: Session, conn: Connection, contact_point_id: UUID) -> list[Withdrawn]:
    """What is to be taken along; what the policy has no more, or does not let be lowered, is not."""
    purposes = session.workspace.policy.purposes
    return [
        one
        for one in corrections.withdrawn_at(conn, contact_point_id, window_s=session.workspace.policy.clock_skew_s)
        if (purpose := purposes.get(one.purpose)) and purpose.is_lowered_by and one.topic in ("", *purpose.topics)
    ]


def _address_id(session: Session, conn: Connection, move: PersonRequest, *, address: str, key: str) -> UUID:
    """The contact point of the new address, which is made where nobody knew it."""
    salt = UUID(bytes=session.workspace.keys.current("guid_salt").secret[:16])
    made = row_id(salt, f"{CLOCK}|move:{move.request_id}")
    corrections.add_address(conn, made, address=address, key=key, is_role_address=is_role_address(address))
    found = find_by_address(conn, key)
    return found[0] if found else made


def _withdrawal(
    session: Session,
    reference: str,
    what: Withdrawn,
    *,
    contact_point_id: UUID,
) -> Act:
    return Act(
        deed=Deed.WITHDRAW,
        purposes=(what.purpose,),
        topics=(what.topic,) if what.topic else (),
        actor=what.actor,
        clock=CLOCK,
        occurred_at=session.now,
        reason="moved",
        contact_point_id=contact_point_id,
        evidence=ActEvidence(request_reference=f"{reference}:{what.purpose}:{what.topic}", channel=CLOCK),
    )


def _request(session: Session) -> MergeRequest:
    return MergeRequest(
        batch_ids=[],
        run_id=session.run_id,
        source=corrections.SOURCE,
        feed=corrections.SOURCE,
        kind="correction",
        mapping_hash="",
        now=session.now,
        raises=True,
        ledger_key=session.workspace.keys.current("ledger").secret,
        staged=StagedTables("", "", "", "", ""),
        rules=purpose_rules(session.workspace.policy),
    )
