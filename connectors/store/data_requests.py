"""Requests of data subjects with their deadlines, restrictions, and corrections, in the caller's transaction.

A request is to be answered within a month of being made (GDPR Art. 12(3)). It is routed to who organised what the person
last registered for, whichever way it came, and outlives the person's data, without them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.erasure import Scope
from connectors.store.routing_sql import organiser_of

_ADD = f"""
insert into intake.data_request (
    request_id, kind, contact_point_id, person_id, organiser_unit, organiser_contact, asked_at, due_at, taken_by)
select :request_id, :kind, :point, :person, r.organiser_unit, r.organiser_contact, :asked_at,
       cast(:asked_at as timestamptz) + interval '1 month', :by
from (select 1) one {organiser_of("cast(:point as uuid)")}
"""

# Those that came by the people's page stand in a table of the door's own; here they are shown together.
_LIST = f"""
select request_id, kind, organiser_unit, organiser_contact, asked_at, due_at, taken_by, state, closed_at, outcome,
       state = 'open' and due_at < :now as is_overdue
from intake.data_request where :every or state = 'open'
union all
select request_id, case kind when 'export' then 'access' when 'move' then 'rectification' else kind end,
       r.organiser_unit, r.organiser_contact, asked_at, asked_at + interval '1 month', 'the person, on their page', state,
       closed_at, null,
       state = 'open' and asked_at + interval '1 month' < :now
from intake.person_request p {organiser_of("p.contact_point_id")} where :every or state = 'open'
order by due_at, request_id
"""

_OVERDUE = """
select count(*) as open, count(*) filter (where due_at < :now) as overdue, min(due_at) as next_due_at from (
    select due_at from intake.data_request where state = 'open'
    union all select asked_at + interval '1 month' from intake.person_request where state = 'open') r
"""

_CLOSE = """
update intake.data_request set state = :state, closed_by = :by, closed_at = :at, outcome = :outcome
where request_id = :request_id and state = 'open'
"""
_CLOSE_OWN = """
update intake.person_request set state = :state, closed_at = :at, new_address = null
where request_id = :request_id and state = 'open'
"""

# What was asked for on the page is kept here when it is done, for the page's own row goes with the address.
_KEEP_OWN = f"""
insert into intake.data_request (
    request_id, kind, contact_point_id, organiser_unit, organiser_contact, asked_at, due_at, taken_by, state)
select p.request_id, :kind, p.contact_point_id, r.organiser_unit, r.organiser_contact, p.asked_at,
       p.asked_at + interval '1 month', 'the person, on their page', 'open'
from intake.person_request p {organiser_of("p.contact_point_id")}
where p.contact_point_id = :point and p.state = 'open' and p.kind = :own_kind
on conflict (request_id) do nothing
"""
_DONE_OWN = """
update intake.person_request set state = 'done', closed_at = :at
where contact_point_id = :point and state = 'open' and kind = :own_kind
"""
# Of several at an address, whose request it is where it names nobody, no one knows: what is done for all is done for them.
_DONE = """
update intake.data_request set state = 'done', closed_by = :by, closed_at = :at, outcome = :outcome
where state = 'open' and kind = any(:kinds)
  and contact_point_id = :point and (person_id is null and :is_whole or person_id = any(cast(:persons as uuid[])))
"""
# A change of address that could not be carried out is for staff to see to, under the same id and by the same deadline.
_REFER_MOVE = f"""
insert into intake.data_request (
    request_id, kind, contact_point_id, organiser_unit, organiser_contact, asked_at, due_at, taken_by, state)
select p.request_id, 'rectification', p.contact_point_id, r.organiser_unit, r.organiser_contact, p.asked_at,
       p.asked_at + interval '1 month', 'the person, on their page', 'open'
from intake.person_request p {organiser_of("p.contact_point_id")}
where p.request_id = :request_id and p.kind = 'move' and p.state = 'open'
on conflict (request_id) do nothing
"""
_NOBODYS = """
select (select count(*) from intake.data_request
        where contact_point_id = :point and person_id is null and state = 'open' and kind = any(:kinds))
     + (select count(*) from intake.person_request
        where contact_point_id = :point and state = 'open' and kind = any(:own_kinds))
"""
# A change of address that the person has proven is carried out by the next synchronisation, whatever else was put right.
_OWN_KINDS = {"access": "export", "erasure": "erasure"}

_RECTIFY = """
insert into intake.submission (
    source, submission_id, feed, kind, content_hash, submitted_from, submitted_to, received_at, batch_id, row_no,
    contact_point_id, subject_id, given_name, family_name, phone, organisation, is_enquiry)
select 'manual', :submission_id, 'rectification', 'rectification', :submission_id, :at, :at, :at, :batch_id, 1,
       p.contact_point_id, s.subject_id,
       case when :has_name then coalesce(cast(:given_name as text), p.given_name) end,
       case when :has_name then coalesce(cast(:family_name as text), p.family_name) end,
       cast(:phone as text), cast(:organisation as text), false
from intake.person p join lateral (
    select subject_id from intake.subject where person_id = p.person_id order by given_key desc limit 1) s on true
where p.person_id = :person_id
"""


def add_request(
    conn: Connection, request_id: UUID, scope: Scope, *, kind: str, asked_at: datetime, by: str
) -> datetime:
    """Take a request down, routed to the organiser; returns by when it is to be answered."""
    person = scope.person_ids[0] if len(scope.person_ids) == 1 else None
    values = {"request_id": request_id, "kind": kind, "point": scope.contact_point_id, "person": person}
    conn.execute(text(_ADD), {**values, "asked_at": asked_at, "by": by})
    statement = "select due_at from intake.data_request where request_id = :id"
    due_at: datetime = conn.execute(text(statement), {"id": request_id}).scalar_one()
    return due_at


def list_requests(conn: Connection, *, now: datetime, every: bool = False) -> list[dict[str, Any]]:
    """Open requests (or every one), by deadline; nobody's name is in it."""
    return [dict(row) for row in conn.execute(text(_LIST), {"now": now, "every": every}).mappings()]


def count_overdue(conn: Connection, *, now: datetime) -> dict[str, Any]:
    """How many requests are open and how many past their deadline, and the next deadline; for status and alerts."""
    return dict(conn.execute(text(_OVERDUE), {"now": now}).mappings().one())


def close_request(conn: Connection, request_id: UUID, *, told: Mapping[str, Any]) -> bool:
    """Close one request; `told` has state (done, refused), by, at, outcome. False where none of that id is open."""
    values = {"request_id": request_id, **told}
    own = {name: values[name] for name in ("request_id", "state", "at")}
    return conn.execute(text(_CLOSE), values).rowcount + conn.execute(text(_CLOSE_OWN), own).rowcount > 0


def answer_requests(
    conn: Connection, scope: Scope, kinds: Sequence[str], *, by: str, at: datetime, outcome: str
) -> int:
    """Close what these persons asked for of the given kinds: it was done just now.

    What names nobody of an address of several (as on its page) stays open until it is done for everybody there:
    `nobodys_requests`.
    """
    point = {"point": scope.contact_point_id}
    for kind in kinds if scope.is_whole else ():
        if own := _OWN_KINDS.get(kind):
            conn.execute(text(_KEEP_OWN), {**point, "kind": kind, "own_kind": own})
            conn.execute(text(_DONE_OWN), {**point, "at": at, "own_kind": own})
    values = {**point, "kinds": list(kinds), "persons": list(scope.person_ids), "is_whole": scope.is_whole}
    return conn.execute(text(_DONE), {**values, "by": by, "at": at, "outcome": outcome}).rowcount


def refer_move(conn: Connection, request_id: UUID) -> None:
    """Keep a change of address that is still open as a rectification for staff; its own row is the caller's to close."""
    conn.execute(text(_REFER_MOVE), {"request_id": request_id})


def nobodys_requests(conn: Connection, scope: Scope, kinds: Sequence[str]) -> str | None:
    """What stays open of these kinds because it names nobody of the address, in words; None where nothing does."""
    own = [_OWN_KINDS[kind] for kind in kinds if kind in _OWN_KINDS]
    values = {"point": scope.contact_point_id, "kinds": list(kinds), "own_kinds": own}
    found: int = conn.execute(text(_NOBODYS), values).scalar_one()
    if not found:
        return None
    stay = "1 request of the address stays" if found == 1 else f"{found} requests of the address stay"
    return f"{stay} open: who of the several there asked is not known. Ask them, or do it for everybody there."


def restricted_among(conn: Connection, contact_point_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Which of these addresses are restricted."""
    statement = "select contact_point_id from intake.restriction where contact_point_id = any(:ids)"
    return frozenset(conn.execute(text(statement), {"ids": list(contact_point_ids)}).scalars())


def is_restricted(conn: Connection, scope: Scope) -> bool:
    """Whether any of these persons is restricted."""
    statement = "select exists (select from intake.restriction where person_id = any(cast(:persons as uuid[])))"
    return bool(conn.execute(text(statement), {"persons": list(scope.person_ids)}).scalar())


def restrict(conn: Connection, scope: Scope, *, reason: str, by: str, at: datetime) -> int:
    """Restrict persons, and have their address planned anew; returns how many were not yet."""
    statement = (
        "insert into intake.restriction (person_id, contact_point_id, reason, restricted_by, restricted_at)"
        " select unnest(cast(:persons as uuid[])), :point, :reason, :by, :at on conflict (person_id) do nothing"
    )
    values = {"persons": list(scope.person_ids), "point": scope.contact_point_id, "reason": reason, "by": by, "at": at}
    added = conn.execute(text(statement), values).rowcount
    _dirty(conn, scope)
    return added


def lift(conn: Connection, scope: Scope) -> int:
    """Lift the restriction of persons, and have their address planned anew; returns how many were restricted."""
    statement = "delete from intake.restriction where person_id = any(cast(:persons as uuid[]))"
    lifted = conn.execute(text(statement), {"persons": list(scope.person_ids)}).rowcount
    _dirty(conn, scope)
    return lifted


def rectify(
    conn: Connection, person_id: UUID, values: Mapping[str, str], *, batch_id: UUID, submission_id: str, at: datetime
) -> None:
    """Keep corrected values as the person's newest submission; what is not given stays as it was."""
    names = ("given_name", "family_name", "phone", "organisation")
    known: dict[str, Any] = {name: values.get(name) for name in names}
    known |= {"has_name": bool({"given_name", "family_name"} & values.keys()), "person_id": person_id}
    conn.execute(text(_RECTIFY), {**known, "batch_id": batch_id, "submission_id": submission_id, "at": at})


def _dirty(conn: Connection, scope: Scope) -> None:
    statement = "update intake.contact_point set version = version + 1 where contact_point_id = :point"
    conn.execute(text(statement), {"point": scope.contact_point_id})
