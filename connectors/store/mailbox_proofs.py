"""One-time links to a mailbox: only their hashes are kept, each is used once, and whose it is is looked up in one way.

The same statement answers for tokens that are good, old, forged or unknown: those that are not good ask for nobody.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store.naming import name_addresses, name_contact_points

_FIND = """
select c.contact_point_id, c.address, p.scope, p.new_address, p.proof_hash is not null and p.used_at is null
       and p.expires_at > :now as is_open
from intake.contact_point c left join intake.mailbox_proof p
  on p.contact_point_id = c.contact_point_id and p.proof_hash = :proof_hash
where c.contact_point_id = :contact_point_id
"""

_ADD = """
insert into intake.mailbox_proof (proof_hash, contact_point_id, scope, new_address, expires_at)
values (:proof_hash, :contact_point_id, :scope, :new_address, :expires_at)
"""

_USE = """
update intake.mailbox_proof set used_at = clock_timestamp()
where proof_hash = :proof_hash and contact_point_id = :contact_point_id and used_at is null and expires_at > :now
"""

_RECENT = """
select count(*) from intake.mailbox_proof where contact_point_id = :contact_point_id and made_at > :since
"""

_FORGET = "delete from intake.mailbox_proof where expires_at < :before"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A contact point that a token names. `is_open`: the token is a one-time link that still works."""

    contact_point_id: UUID
    address: str
    is_open: bool
    new_address: str | None = None


def find_mailbox(conn: Connection, contact_point_id: UUID, token: str, *, now: datetime) -> Mailbox | None:
    """The contact point, and whether the token is a one-time link to it that was not used; None where there is none."""
    name_contact_points(conn, [contact_point_id])
    values = {"contact_point_id": contact_point_id, "proof_hash": proof_hash(token), "now": now}
    row = conn.execute(text(_FIND), values).one_or_none()
    return None if row is None else Mailbox(row.contact_point_id, row.address, bool(row.is_open), row.new_address)


def find_by_address(conn: Connection, address_key: str) -> tuple[UUID, str] | None:
    """The contact point of a canonical address."""
    name_addresses(conn, [address_key])
    statement = "select contact_point_id, address from intake.contact_point where address_key = :key"
    row = conn.execute(text(statement), {"key": address_key}).one_or_none()
    return None if row is None else (row.contact_point_id, row.address)


def add_proof(
    conn: Connection, token: str, contact_point_id: UUID, *, expires_at: datetime, new_address: str | None = None
) -> None:
    """Remember that a one-time link was mailed; with `new_address` it proves that one, for the person at this."""
    values = {
        "proof_hash": proof_hash(token),
        "contact_point_id": contact_point_id,
        "scope": "move" if new_address else "prove",
        "new_address": new_address,
        "expires_at": expires_at,
    }
    name_contact_points(conn, [contact_point_id])
    conn.execute(text(_ADD), values)


def use_proof(conn: Connection, contact_point_id: UUID, token: str, *, now: datetime) -> bool:
    """Use a one-time link to a mailbox up; False where it was used before, or has expired."""
    name_contact_points(conn, [contact_point_id])
    values = {"contact_point_id": contact_point_id, "proof_hash": proof_hash(token), "now": now}
    return conn.execute(text(_USE), values).rowcount > 0


def sent_since(conn: Connection, contact_point_id: UUID, since: datetime) -> int:
    """How many links were mailed to or for a mailbox since an instant."""
    name_contact_points(conn, [contact_point_id])
    values = {"contact_point_id": contact_point_id, "since": since}
    return int(conn.execute(text(_RECENT), values).scalar_one())


def forget_expired(conn: Connection, *, before: datetime) -> int:
    """Forget links that expired before an instant, and the addresses that they were to prove."""
    return conn.execute(text(_FORGET), {"before": before}).rowcount


def proof_hash(token: str) -> bytes:
    """What is kept of a one-time link."""
    return sha256(b"mailbox proof\x00" + token.encode()).digest()
