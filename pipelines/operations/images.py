"""Images: what was there before a write, to the CRM or by a reading; kept to explain and to undo, then forgotten.

The retention of the policy says for how long (`image_days`). What is left tells that something was written, and when.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from connectors.store import outbox, undo
from pipelines.operations.sessions import Session


def purge_images(session: Session) -> dict[str, int]:
    """Forget the images that are older than the policy keeps them; returns how many, by what they are of."""
    return _purge(session, session.now - timedelta(days=session.workspace.policy.retention.image_days), None)


def erase_images(session: Session, contact_point_ids: Sequence[UUID]) -> dict[str, int]:
    """Forget all images of the given addresses, whatever their age."""
    return _purge(session, session.now + timedelta(days=1), contact_point_ids)


def _purge(session: Session, before: datetime, contact_point_ids: Sequence[UUID] | None) -> dict[str, int]:
    with session.transaction() as conn:
        return {
            "writes": outbox.purge_images(conn, before=before, now=session.now, contact_point_ids=contact_point_ids),
            "readings": undo.purge_images(conn, before=before, contact_point_ids=contact_point_ids),
        }
