"""Landing a whole source: every feed of it, one failing feed not keeping another back."""

from dataclasses import dataclass

from pipelines.operations.intake import LandReport, land_feed
from pipelines.operations.sessions import Session
from schemas.errors import IntakeError
from schemas.records import Window


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
