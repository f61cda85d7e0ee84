"""Landing: a feed, or a whole source with every feed of it, one failing feed not keeping another back.

A batch's rows are durable before its source may forget them and before the watermark moves.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from connectors.sources import connector_for
from connectors.store import batches
from connectors.store.batches import BatchRow, forget_abandoned_groups
from connectors.store.bulk import drop_orphans
from pipelines.operations.intake import mapping_hash
from pipelines.operations.restored import require_replayed
from pipelines.operations.sessions import Session
from schemas.errors import BatchRefused, IntakeError
from schemas.mappings import Mapping
from schemas.records import BatchState, Window

# Longer than any run takes from staging to merging; what a run that died has staged holds people's data.
ABANDONED = timedelta(days=2)


@dataclass
class LandReport:
    """What landing a feed gave: batches new, batches known by content, and what was refused at the door."""

    landed: list[UUID] = field(default_factory=list)
    seen_again: list[UUID] = field(default_factory=list)
    refused: list[BatchRefused] = field(default_factory=list)


@dataclass(frozen=True)
class FeedLanding:
    """What became of one feed: its report, or the error it ended with."""

    feed: str
    report: LandReport
    error: IntakeError | None = None

    @property
    def problem(self) -> str:
        """What its owner should know, '' when all came in."""
        return "; ".join(str(fault) for fault in (*self.report.refused, self.error) if fault is not None)


def land_feed(session: Session, mapping: Mapping, window: Window) -> LandReport:
    """Land every batch of a feed received within the window; a known content is counted again, not applied again.

    Raises SourceUnavailable or SourceError; a refused file is reported and stays where it is.
    """
    require_replayed(session)
    report = LandReport()
    connector = connector_for(mapping, session.workspace.sources)
    keys, stay = session.workspace.keys, session.workspace.stay_from(session.now)
    try:
        for received in connector.iter_batches(mapping, window, now=session.now):
            with session.transaction() as conn:
                batch = batches.land_batch(conn, received, uuid4(), keys=keys, stay=stay)
                # Rows that tell when they changed are not the same where they were changed back.
                is_news = mapping.changed_at is None and batches.is_overwritten(conn, batch, received)
                if _is_known(batch, mapping) and not is_news:
                    batches.count_again(conn, batch, session.run_id)
                    report.seen_again.append(batch.batch_id)
                else:
                    batches.reopen(conn, batch.batch_id, received, keys=keys, stay=stay, as_news=is_news)
                    report.landed.append(batch.batch_id)
            if not session.is_rehearsal:
                connector.acknowledge(received)
    except BatchRefused as refused:
        report.refused.append(refused)
    return report


def _is_known(batch: BatchRow, mapping: Mapping) -> bool:
    is_read = batch.state in (BatchState.APPLIED, BatchState.UNDONE)
    return is_read and batch.mapping_hash == mapping_hash(mapping) and not batch.comes_anew


def land_source(session: Session, source: str, window: Window) -> list[FeedLanding]:
    """Land every feed of a source received within the window; an error of ours is noted with its feed."""
    return [_land(session, feed, window) for feed in sorted(_feeds(session, source))]


def sweep_abandoned(session: Session) -> None:
    """Drop what runs that died have left in staging; their batches are still landed, and are staged again."""
    with session.transaction() as conn:
        forget_abandoned_groups(conn, ABANDONED)
        drop_orphans(conn, ABANDONED)


def first_error(landings: list[FeedLanding]) -> IntakeError | None:
    """The error to tell of, one that may pass first; None where every feed was reached."""
    errors = [landing.error for landing in landings if landing.error is not None]
    return min(errors, key=lambda error: not error.transient, default=None)


def _feeds(session: Session, source: str) -> list[str]:
    return [name for name, mapping in session.workspace.mappings.items() if mapping.source == source]


def _land(session: Session, feed: str, window: Window) -> FeedLanding:
    try:
        return FeedLanding(feed, land_feed(session, session.workspace.mappings[feed], window))
    except IntakeError as error:
        return FeedLanding(feed, LandReport(), error)
