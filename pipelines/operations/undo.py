"""Undo: what a run read is void, what it overwrote is put back, and the next plan repairs the CRM.

What is undone is the *reading* of a payload by a mapping: consent events, names, registrations, stated values. A
mapping with its polarity reversed writes "the person said no" over a yes, so the actor of an event does not tell; that
a mapping read it does. What nobody read stays (`schemas.consent.is_voidable`): acts on a page or by one click, what
people and staff did in the CRM, and what staff took down of a person's own words. Erasure and retention are no reading.

The state after it is the fold of what remains in the ledger, and never more: where a voided withdrawal had lowered a
person's own, earlier grant, that grant counts again; nothing else can rise. Such a rise goes through the plan like any
other, with its blast radius. A withdrawal that the bad mapping read aright is void as well; so a run is undone feed by
feed, and what the mended mapping reads in the same batches is merged before anybody may plan.

The same mapping does not read an undone batch again, and a grant that was voided does not come back by it from another
batch either; a withdrawal does. A mended mapping (any other content, down to its title) reads all of it anew. Batches that came
later and told some of it too are read again as well: what they told was known by then, and is not now.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from connectors.store import batches, narrow_calls, undo
from connectors.store.mending import get_mended, put_mended
from connectors.store.merge import MergeRequest, StagedTables
from connectors.store.undo import Undone, UndoRequest
from pipelines.operations.intake import Gated, apply_batches, mended_batches
from pipelines.operations.merging import as_merger
from pipelines.operations.planning import make_plan
from pipelines.operations.sessions import Session, rehearse
from pipelines.operations.sync import as_writer
from pipelines.operations.workspace import purpose_rules
from pipelines.transforms.identity import resolve_subjects
from schemas.errors import ConfigurationError


@dataclass
class UndoReport:
    """What an undo did, and what it read again. `writes` (phase and table to number) is foretold by a rehearsal only."""

    run_id: UUID
    undo_run_id: UUID
    undone: Undone
    read_again: list[Gated]
    writes: dict[str, int] | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether there was nothing to undo (any more)."""
        return not self.undone.readings

    def counts(self) -> dict[str, Any]:
        """As numbers, for the record of the run and for people."""
        by_feed: dict[str, dict[str, int]] = {}
        for (feed, kind), number in sorted(self.undone.voided.items()):
            by_feed.setdefault(feed, {})[kind] = number
        return {
            "undone_run": str(self.run_id),
            "readings": self.undone.readings,
            "by_feed": by_feed,
            "addresses": self.undone.addresses,
            "raised": self.undone.raised,
            "lowered": self.undone.lowered,
            "batches_read_again": len(self.read_again),
            "batches_waiting_for_a_mended_mapping": len(self.undone.undone) - self._mended(),
            "batches_read_when_they_come_again": self.undone.awaited,
            "rows_as_received": sum(map(len, self.undone.parts.values())),
        }

    def _mended(self) -> int:
        return len({gated.batch.batch_id for gated in self.read_again} & set(self.undone.undone))


def undo_run(session: Session, run_id: UUID, *, by: str, feeds: Sequence[str] | None = None) -> UndoReport:
    """Undo what a run read, of the given feeds or of all; undoing it once more does nothing.

    Raises ConfigurationError for an unknown run or a feed that it did not read.
    """
    with _alone(session):
        with session.transaction() as conn:
            _require_known(conn, run_id, feeds)
            batches.start_run(conn, session.run_id, "undo", at=session.now)
            request = UndoRequest(run_id, session.run_id, by, session.now, tuple(feeds) if feeds else None)
            undone = undo.undo_readings(conn, request, refresh=refresh_request(session), resolve=resolve_subjects)
            _take_mendings_back(session, conn, undone, by=by)
        report = UndoReport(run_id, session.run_id, undone, _read_again(session, undone))
        with session.transaction() as conn:
            narrow_calls.call_lowered(conn, session.run_id)
            counts = {**report.counts(), "by": by}
            batches.finish_run(conn, session.run_id, "done", counts, at=session.workspace.now())
    return report


def rehearse_undo(session: Session, run_id: UUID, *, by: str, feeds: Sequence[str] | None = None) -> UndoReport:
    """What `undo_run` would do, and what the next plan would write then; nothing is kept."""
    with rehearse(session.workspace) as rehearsal:
        report = undo_run(rehearsal, run_id, by=by, feeds=feeds)
        with rehearsal.transaction() as conn:
            report.writes = make_plan(rehearsal, conn).counts()
    return report


@contextmanager
def _alone(session: Session) -> Iterator[None]:
    """Neither a plan nor a merge comes between the voiding and the reading again."""
    with ExitStack() as stack:
        if not session.is_rehearsal:
            stack.enter_context(as_writer(session))
            stack.enter_context(as_merger(session))
        yield


def _require_known(conn: Any, run_id: UUID, feeds: Sequence[str] | None) -> None:
    if not undo.has_run(conn, run_id):
        raise ConfigurationError(
            f"There is no run {run_id}. `crm-intake run --json` shows the ids of its runs, `crm-intake explain` those of events."
        )
    known = undo.feeds_of_run(conn, run_id)
    unknown = sorted(set(feeds or ()) - set(known))
    if unknown:
        raise ConfigurationError(f"Run {run_id} read nothing of {', '.join(unknown)}; it read {', '.join(known)}.")


def _take_mendings_back(session: Session, conn: Connection, undone: Undone, *, by: str) -> None:
    """Rows that were read by themselves are as received again: what was put into their cells does not count."""
    keys = session.workspace.keys
    for batch_id, row_nos in undone.parts.items():
        cells = [cell for cell in get_mended(conn, batch_id, keys=keys) if cell.row_no in row_nos]
        received = [replace(cell, value=cell.received) for cell in cells]
        put_mended(conn, batch_id, received, keys=keys, signed=(by, "the reading with the mended value was undone"))


def _read_again(session: Session, undone: Undone) -> list[Gated]:
    """What is to be read again by now; later deliveries each by itself, so that to undo what had read one undoes this too."""
    mended = [batch_id for batch_id in mended_batches(session) if batch_id in set(undone.undone)]
    gated = apply_batches(session, [*undone.reopened, *mended])
    return [*gated, *(one for batch_id in undone.shared for one in apply_batches(session, [batch_id]))]


def refresh_request(session: Session) -> MergeRequest:
    """How addresses are folded again; it merges nothing."""
    return MergeRequest(
        batch_ids=[],
        run_id=session.run_id,
        source="",
        feed="",
        kind="undo",
        mapping_hash="",
        now=session.now,
        raises=True,
        ledger_key=session.workspace.keys.current("ledger").secret,
        staged=StagedTables("", "", "", "", ""),
        rules=purpose_rules(session.workspace.policy),
    )
