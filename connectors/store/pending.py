"""Sign-ups that wait for their person to follow the link in the mailbox, as the store keeps them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from connectors.store import pending_sql
from connectors.store.locks import lock_key
from connectors.store.pending_tables import PENDING_GRANT

__all__ = [
    "PENDING_GRANT",
    "claim_unmailed",
    "close_confirmed",
    "find_pending",
    "forget_expired",
    "mark_mailed",
    "to_mail",
    "unmailed_since",
    "waits",
]


def waits(conn: Connection, address_key: str, purpose: str, topic: str | None, *, now: datetime) -> bool:
    """Whether a sign-up of the address for the purpose (or topic) still waits for its link."""
    values = {"address_key": address_key, "purpose": purpose, "topic": topic, "now": now}
    return bool(conn.execute(text(pending_sql.WAITS), values).scalar())


def to_mail(conn: Connection, *, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Sign-ups whose link was not mailed yet: confirmation_id, address, expires_at, language, purposes, topics."""
    return conn.execute(text(pending_sql.TO_MAIL), {"now": now, "limit": limit}).mappings().all()


def claim_unmailed(conn: Connection, confirmation_id: UUID, *, now: datetime) -> bool:
    """Have a link to mail for this transaction alone; False where another has it, or where it is not to be mailed any more."""
    if not conn.execute(text(pending_sql.CLAIM), {"key": lock_key(f"confirmation:{confirmation_id}")}).scalar():
        return False
    return bool(conn.execute(text(pending_sql.IS_UNMAILED), {"id": confirmation_id, "now": now}).scalar())


def unmailed_since(conn: Connection, *, due: datetime, now: datetime) -> dict[str, Any]:
    """How many sign-ups that wait were read before `due` and have no mail yet, and since when the oldest (None: none)."""
    return dict(conn.execute(text(pending_sql.UNMAILED_SINCE), {"due": due, "now": now}).mappings().one())


def mark_mailed(conn: Connection, confirmation_id: UUID, *, now: datetime) -> bool:
    """Remember that the link was mailed; False where it was before."""
    return conn.execute(text(pending_sql.MAILED), {"id": confirmation_id, "now": now}).rowcount > 0


def find_pending(conn: Connection, confirmation_id: UUID) -> Sequence[RowMapping]:
    """The parts of one sign-up, locked until the end of the transaction."""
    return conn.execute(text(pending_sql.FIND), {"id": confirmation_id}).mappings().all()


def close_confirmed(conn: Connection, part: RowMapping, *, now: datetime) -> list[UUID]:
    """Mark a sign-up as confirmed, forget its address there, and name its submission; the address to fold again."""
    conn.execute(text(pending_sql.CONFIRMED), {"id": part["confirmation_id"], "now": now})
    names = ("given_name", "family_name", "source", "submission_id", "address_key")
    values: dict[str, Any] = {name: part[name] for name in names} | {"given_key": part["given_key"] or ""}
    return list(conn.execute(text(pending_sql.NAME_SUBMISSION), values).scalars())


def forget_expired(conn: Connection, *, now: datetime) -> int:
    """Forget the sign-ups that expired, confirmed or not."""
    return conn.execute(text(pending_sql.FORGET_EXPIRED), {"now": now}).rowcount
