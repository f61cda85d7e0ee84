"""The log of readings: one more entry, and looking through it. Nothing is ever changed in it but by its retention."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text

from connectors.store.access_tables import ACCESS_LOG

# As text: who may write here may not read what was written, so that nothing can be returned.
_APPEND = text("""
insert into intake.access_log (os_user, command, purpose, contact_point_ids, about)
values (:os_user, :command, :purpose, cast(:contact_point_ids as uuid[]), :about)
""")


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """One reading: by which command, for what, of whom (contact points), and of which other ids."""

    os_user: str
    command: str
    purpose: str
    contact_point_ids: Sequence[UUID] = ()
    about: str = ""


def append_read(conn: Connection, entry: ReadEntry) -> None:
    """Write a reading down, in the caller's transaction; the database adds its login and the time."""
    conn.execute(_APPEND, {**asdict(entry), "contact_point_ids": list(entry.contact_point_ids)})


def read_log(
    conn: Connection,
    *,
    user: str | None = None,
    contact_point_id: UUID | None = None,
    since: datetime | None = None,
    limit: int = 500,
) -> list[dict[str, Any]]:
    """The newest entries, of a user (login or operating-system user) or about a contact point; by row-level security only
    one's own, unless one is the privacy officer."""
    query = select(ACCESS_LOG).order_by(ACCESS_LOG.c.entry_id.desc()).limit(limit)
    if user is not None:
        query = query.where((ACCESS_LOG.c.login == user) | (ACCESS_LOG.c.os_user == user))
    if contact_point_id is not None:
        query = query.where(ACCESS_LOG.c.contact_point_ids.contains([contact_point_id]))
    if since is not None:
        query = query.where(ACCESS_LOG.c.read_at >= since)
    return [dict(row) for row in conn.execute(query).mappings()]
