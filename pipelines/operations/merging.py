"""The right to merge: runs may go side by side; what they read goes into the store one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.store.locks import advisory_lock
from pipelines.operations.sessions import Session

MERGE_LOCK = "intake-merge"
MERGE_WAIT_S = 1800.0


@contextmanager
def as_merger(session: Session) -> Iterator[None]:
    """Hold the right to stage and merge; StoreUnavailable after half an hour of waiting for another run."""
    with session.workspace.engine.connect() as conn, advisory_lock(conn, MERGE_LOCK, wait_s=MERGE_WAIT_S):
        yield
