"""Which days an intake takes that nobody named days for: from where its sources were last read without a gap."""

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from connectors.store import batches
from pipelines.operations.sessions import Session
from schemas.records import Window

# A source that is away for longer is told of by `status`, and read by hand: every night would read all of it again.
REACH = timedelta(days=31)


def unread_window(session: Session, sources: Sequence[str]) -> Window:
    """From the first day of which one of the sources is not wholly read to today; at least yesterday, at most `REACH`."""
    timezone = session.workspace.policy.organisation.timezone
    today = session.now.astimezone(ZoneInfo(timezone)).date()
    with session.transaction() as conn:
        unread_on = batches.first_unread_on(conn, sources, timezone, since=today - REACH)
    known_on = date.fromisoformat(session.workspace.settings.partitions_first_on)
    first_on = max(unread_on or today, known_on)
    return Window(min(first_on, today - timedelta(days=1)), today)


def unread_of(session: Session, source: str, days: Window) -> Window:
    """The given days, from the first of which a source is not wholly read; at least the last two of them."""
    unread_on = unread_window(session, [source]).first_on
    return Window(max(days.first_on, min(unread_on, days.last_on - timedelta(days=1))), days.last_on)


def note_read(session: Session, source: str, days: Window) -> None:
    """Note that this run has read a source on the given days; see `connectors.store.batches.note_read_days`."""
    with session.transaction() as conn:
        batches.note_read_days(conn, session.run_id, source, days, session.workspace.policy.organisation.timezone)
