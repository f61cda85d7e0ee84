"""Sessions: the same operations, once with their writes and once without.

A run commits each unit of work; a rehearsal does all of it in one transaction that is rolled back, so that it predicts
every write and leaves nothing behind but dropped staging tables.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection

from connectors.store.bulk import drop_staged
from connectors.store.fences import Fence, fenced_lock
from pipelines.operations.access import Reading
from pipelines.operations.workspace import Workspace, under_retention


@dataclass
class Session:
    """One run's view of the workspace. `now` is fixed for the whole of it; `staged` are the tables it made.

    `fences` are of the locks that it holds: what it writes is kept only while they are its own.
    """

    workspace: Workspace
    run_id: UUID = field(default_factory=uuid4)
    rehearsal: Connection | None = None
    reading: Reading | None = None
    staged: list[str] = field(default_factory=list)
    fences: dict[str, Fence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now: datetime = self.workspace.now()

    @property
    def is_rehearsal(self) -> bool:
        """Whether nothing may be kept, acknowledged or sent."""
        return self.rehearsal is not None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One unit of work: all of it or none."""
        if self.rehearsal is None:
            with self.workspace.transaction() as conn:
                for fence in self.fences.values():
                    fence.hold(conn)
                yield conn
        else:
            with self.rehearsal.begin_nested():
                yield self.rehearsal

    def note_read(self, conn: Connection, contact_point_ids: Sequence[UUID]) -> None:
        """Write down whose data is about to be shown, where a command shows it to somebody."""
        if self.reading is not None:
            self.reading.note(conn, contact_point_ids)

    @contextmanager
    def under_retention(self) -> "Iterator[Session]":
        """The same run under the role of retention, which may delete and may add nothing to the ledger."""
        with under_retention(self.workspace) as workspace:
            session = Session(workspace, run_id=self.run_id, fences=self.fences)
            session.now = self.now
            yield session

    @contextmanager
    def holding(self, lock: str, *, wait_s: float) -> Iterator[None]:
        """Hold a named lock with its fence; at once where this session holds it already, or only rehearses.

        StoreUnavailable after `wait_s` seconds of waiting for another; LockLost from then on if another came to hold it.
        """
        if self.is_rehearsal or lock in self.fences:
            yield
            return
        with fenced_lock(self.workspace.engine, lock, wait_s=wait_s) as fence:
            self.fences[lock] = fence
            try:
                yield
            finally:
                del self.fences[lock]

    def beside(self) -> "Session":
        """The same run for another thread: it takes what locks it needs, but for those that are held already."""
        other = replace(self, fences=dict(self.fences))
        other.now = self.now
        return other

    def forget_staged(self, names: Iterable[str]) -> None:
        """These staging tables are gone."""
        for name in names:
            if name in self.staged:
                self.staged.remove(name)

    def drop_staged(self) -> None:
        """Drop the staging tables of this session."""
        with self.workspace.transaction() as conn:
            drop_staged(conn, self.staged)
        self.staged.clear()


@contextmanager
def rehearse(workspace: Workspace) -> Iterator[Session]:
    """A session whose every write is rolled back at the end."""
    with workspace.engine.connect() as conn:
        transaction = conn.begin()
        session = Session(workspace, rehearsal=conn)
        try:
            yield session
        finally:
            transaction.rollback()
            session.drop_staged()
