"""Undo in the store."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from connectors.store import reading_sql


def purge_images(conn: Connection, *, before: datetime, contact_point_ids: Sequence[UUID] | None = None) -> int:
    """Forget what readings overwrote before an instant (of given addresses only, where given); returns how many rows."""
    ids = None if contact_point_ids is None else list(contact_point_ids)
    return conn.execute(text(reading_sql.PURGE_IMAGES), {"before": before, "ids": ids}).rowcount
