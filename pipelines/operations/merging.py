"""Runs side by side: each batch is staged by one run at a time, and what was staged is merged by one after the other."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

from connectors.store.locks import release_all, try_locks
from pipelines.operations.sessions import Session

MERGE_LOCK = "intake-merge"
MERGE_WAIT_S = 1800.0
# Each is a lock in the server's table of them, which has room for some thousands.
BATCHES_AT_A_TIME = 500


def as_merger(session: Session, *, wait_s: float = MERGE_WAIT_S) -> AbstractContextManager[None]:
    """Hold the right to merge; StoreUnavailable (55P03) after half an hour, or `wait_s`, of waiting for another run."""
    return session.holding(MERGE_LOCK, wait_s=wait_s)


@contextmanager
def staging(session: Session, batch_ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    """Those of the batches that no other run is staging just now, this run's alone while the block lasts.

    A batch whose run dies before it has merged it is landed still, and the next run takes it.
    """
    if session.is_rehearsal:
        yield list(batch_ids)
        return
    names = {f"stage:{batch_id}": batch_id for batch_id in batch_ids}
    with session.workspace.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        try:
            yield [names[name] for name in try_locks(conn, list(names))]
        finally:
            release_all(conn)
