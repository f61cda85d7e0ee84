"""Corrections that people make of themselves: a name at once; a proven new address by the next narrow synchronisation.

A change of address carries withdrawals, not grants: what was forbidden there is forbidden here, newsletters are chosen
anew, and the old address, which is read by somebody else from now on, gets none. Registrations go along.
"""

from uuid import UUID

from sqlalchemy import Connection

from connectors.store import corrections, narrow_calls, person_requests
from connectors.store.corrections import Names
from connectors.store.mailbox_proofs import find_by_address
from connectors.store.merge import MergeRequest, StagedTables, refresh_addresses
from connectors.store.person_requests import PersonRequest
from pipelines.operations.acts import record_acts
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.identity import resolve_subjects
from schemas.acts import Act, ActEvidence, Deed
from schemas.consent import Actor

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
    """Carry out the open changes of address, each in a transaction of its own; returns how many."""
    with session.transaction() as conn:
        moves = person_requests.open_requests(conn, "move")
    for move in moves:
        with session.transaction() as conn:
            state = "done" if _move(session, conn, move) else "refused"
            person_requests.close_request(conn, move.request_id, state)
    return len(moves)


def _move(session: Session, conn: Connection, move: PersonRequest) -> bool:
    """Forbid there what is forbidden here, leave marketing here, take the person there."""
    here, typed = move.contact_point_id, canonical_address(move.new_address or "")
    if typed.key is None or typed.address is None:
        return False
    reference = f"move:{move.request_id}"
    carried = [_withdrawal(session, reference, pair, address=typed.address) for pair in _carried(conn, here)]
    left = _withdrawal(session, reference, (MARKETING, ""), contact_point_id=here)
    record_acts(session, conn, [*carried, left])
    there = find_by_address(conn, typed.key)
    to_id = there[0] if there else None
    person = corrections.sole_person(conn, here)
    if person is not None and to_id is not None and to_id != here:
        corrections.move_person(conn, person, from_id=here, to_id=to_id)
        refresh_addresses(conn, _request(session), [here, to_id], resolve=resolve_subjects)
    narrow_calls.call(conn, [here] if to_id is None else [here, to_id])
    return True


def _carried(conn: Connection, contact_point_id: UUID) -> list[tuple[str, str]]:
    """What is withdrawn here; and marketing, which was granted to another mailbox if at all."""
    return list(dict.fromkeys([*corrections.withdrawn_at(conn, contact_point_id)]))


def _withdrawal(
    session: Session,
    reference: str,
    what: tuple[str, str],
    *,
    address: str | None = None,
    contact_point_id: UUID | None = None,
) -> Act:
    purpose, topic = what
    return Act(
        deed=Deed.WITHDRAW,
        purposes=(purpose,),
        topics=(topic,) if topic else (),
        actor=Actor.SUBJECT,
        clock=CLOCK,
        occurred_at=session.now,
        reason="moved",
        address=address,
        contact_point_id=contact_point_id,
        evidence=ActEvidence(request_reference=f"{reference}:{purpose}:{topic}", channel=CLOCK),
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
        expires_at=session.now,
        raises=True,
        ledger_key=session.workspace.keys.current("ledger").secret,
        staged=StagedTables("", "", "", "", ""),
        rules=purpose_rules(session.workspace.policy),
    )
