"""Images: what was there before a write, to the CRM or by a reading; kept to explain and to undo, then forgotten.

The retention of the policy says for how long (`image_days`). What is left tells that something was written, and when.
"""

from datetime import timedelta

from sqlalchemy import Connection

from connectors.store import outbox, undo
from pipelines.operations.sessions import Session


def purge_images(session: Session, conn: Connection) -> dict[str, int]:
    """Forget the images that are older than the policy keeps them; returns how many, by what they are of."""
    before = session.now - timedelta(days=session.workspace.policy.retention.image_days)
    return {
        "writes": outbox.purge_images(conn, before=before, now=session.now),
        "readings": undo.purge_images(conn, before=before),
    }
