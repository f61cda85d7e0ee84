"""What people asked for on their page and what became of it: a copy of their data, erasure, another address."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.naming import name_contact_points

_ADD = """
insert into intake.person_request (contact_point_id, kind, new_address)
select :contact_point_id, :kind, :new_address
where not exists (select from intake.person_request where contact_point_id = :contact_point_id and kind = :kind
                  and state = 'open' and new_address is not distinct from :new_address)
"""

_OPEN = """
select request_id, contact_point_id, kind, new_address, asked_at from intake.person_request
where state = 'open' and (cast(:kind as text) is null or kind = :kind) order by asked_at limit 200
"""

# An address that a move is done with is the contact point's, and is not kept here as well.
_CLOSE = """
update intake.person_request set state = :state, closed_at = clock_timestamp(), new_address = null
where request_id = :id and state = 'open'
"""


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """One request that is open."""

    request_id: UUID
    contact_point_id: UUID
    kind: str
    new_address: str | None
    asked_at: datetime


def add_request(conn: Connection, contact_point_id: UUID, kind: str, *, new_address: str | None = None) -> None:
    """Record a request; one that is open already is not asked twice."""
    name_contact_points(conn, [contact_point_id])
    values = {"contact_point_id": contact_point_id, "kind": kind, "new_address": new_address}
    conn.execute(text(_ADD), values)


def open_requests(conn: Connection, kind: str | None = None) -> list[PersonRequest]:
    """The open requests (of a kind), the oldest first."""
    return [PersonRequest(*row) for row in conn.execute(text(_OPEN), {"kind": kind})]


def close_request(conn: Connection, request_id: UUID, state: str) -> None:
    """A request is `done`, or `refused`."""
    conn.execute(text(_CLOSE), {"id": request_id, "state": state})
