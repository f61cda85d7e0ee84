"""Landing a whole source: every feed of it, one failing feed not keeping another back."""

from dataclasses import dataclass
from datetime import timedelta

from connectors.store.batches import forget_abandoned_groups
from connectors.store.bulk import drop_orphans
from pipelines.operations.intake import LandReport, land_feed
from pipelines.operations.sessions import Session
from schemas.errors import IntakeError
from schemas.records import Window

# Longer than any run takes from staging to merging; what a run that died has staged holds people's data.
ABANDONED = timedelta(days=2)


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
