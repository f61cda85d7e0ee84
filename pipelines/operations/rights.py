"""Rectification, restriction, objection and requests (GDPR Art. 16, 18, 21, 12(3)): each an act by a named person."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from connectors.store import batches, narrow_calls
from connectors.store import data_requests as store
from connectors.store.erasure import Scope
from connectors.store.merge import refresh_addresses
from pipelines.operations.acts import Act, ActEvidence, Deed, record_acts
from pipelines.operations.sessions import Session
from pipelines.operations.undo import refresh_request
from pipelines.transforms.names import normalise_name
from pipelines.transforms.phones import normalise_phone
from pipelines.transforms.text import normalise_text
from schemas.consent import Actor
from schemas.errors import ConfigurationError

FIELDS = ("given_name", "family_name", "phone", "organisation")
SPOKEN = "spoken"


def rectify(session: Session, scope: Scope, told: Mapping[str, str], *, by: str) -> list[str]:
    """Put right what is wrong of one person; returns which fields. The newest human act stands, in the CRM too.

    ConfigurationError for an unknown field, for a value that cannot be read, and where not one person is meant.
    """
    person_id = _one(scope)
    values = _values(told)
    batch_id = uuid4()
    with session.transaction() as conn:
        batches.record_batch(
            conn, batch_id, source="manual", feed="rectification", received_at=session.now, content_hash=batch_id.hex
        )
        store.rectify(
            conn, person_id, values, batch_id=batch_id, submission_id=f"rectification:{batch_id}", at=session.now
        )
        refresh_addresses(conn, refresh_request(session), [scope.contact_point_id])
        _answer(session, conn, scope, "rectification", by)
    return sorted(values)


def restrict(session: Session, scope: Scope, *, reason: str, by: str) -> int:
    """Plan nothing but lowering for these persons until it is lifted; mail is lowered. Returns how many were not yet."""
    if not scope.person_ids:
        raise ConfigurationError("There is no person at that address; it is suppressed, and nothing else is kept.")
    with session.transaction() as conn:
        added = store.restrict(conn, scope, reason=reason, by=by, at=session.now)
        narrow_calls.call(conn, [scope.contact_point_id])
        _answer(session, conn, scope, "restriction", by)
    return added


def lift(session: Session, scope: Scope) -> int:
    """Let the ledger decide again (Art. 18(3): tell the person before). Returns how many were restricted."""
    with session.transaction() as conn:
        narrow_calls.call(conn, [scope.contact_point_id])
        return store.lift(conn, scope)


def object_to(session: Session, scope: Scope, purposes: Sequence[str], *, by: str, reference: str | None) -> list[UUID]:
    """Record the person's objection to purposes (Art. 21), told to staff; returns the ids of the events."""
    person = scope.person_ids[0] if len(scope.person_ids) == 1 else None
    evidence = ActEvidence(
        request_reference=reference or f"objection:{uuid4()}", channel=SPOKEN, collected_by=by, method="request"
    )
    act = Act(
        deed=Deed.OBJECT,
        purposes=tuple(purposes),
        actor=Actor.STAFF_ON_BEHALF,
        clock=SPOKEN,
        occurred_at=session.now,
        evidence=evidence,
        person_id=person,
        contact_point_id=scope.contact_point_id,
    )
    with session.transaction() as conn:
        events = record_acts(session, conn, [act])
        _answer(session, conn, scope, "objection", by)
    return events


def take_request(session: Session, scope: Scope, *, kind: str, asked_at: datetime | None, by: str) -> dict[str, Any]:
    """Take a request down with its deadline."""
    request_id = uuid4()
    with session.transaction() as conn:
        due_at = store.add_request(conn, request_id, scope, kind=kind, asked_at=asked_at or session.now, by=by)
    return {"request_id": request_id, "kind": kind, "due_at": due_at}


def _answer(session: Session, conn: Any, scope: Scope, kind: str, by: str) -> None:
    store.answer_requests(conn, scope, [kind], by=by, at=session.now, outcome="done")


def _one(scope: Scope) -> UUID:
    if len(scope.person_ids) != 1:
        raise ConfigurationError(f"{len(scope.person_ids)} people are meant; give the id of one.")
    return scope.person_ids[0]


_NORMALISED = {
    "given_name": normalise_name,
    "family_name": normalise_name,
    "phone": normalise_phone,
    "organisation": normalise_text,
}


def _values(told: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(told) - set(FIELDS))
    if unknown or not told:
        listed = ", ".join(FIELDS)
        raise ConfigurationError(
            f"Give lines of field=value with the fields {listed}; not {', '.join(unknown) or 'nothing'}."
        )
    read = {name: _NORMALISED[name](value) for name, value in told.items()}
    unread = sorted(name for name, value in read.items() if value.value is None)
    if unread:
        raise ConfigurationError(f"{', '.join(unread)} cannot be read as given. Write it as on a form.")
    return {name: str(value.value) for name, value in read.items()}
