"""Statistics of participants: gathered while the people are known, published once when a month is closed, kept for good."""

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.store import statistics as store
from pipelines.operations.sessions import Session
from pipelines.transforms.regions import regions_by_prefix
from pipelines.transforms.statistics import protect
from schemas.errors import ConfigurationError

# Cancellations and late registrations are in by then; events' registrations are kept 30 days.
SETTLE_DAYS = 10
SMALLEST = 10


def gather_participations(session: Session) -> int:
    """Count who took part in what is over. Retention calls it before anything goes; safe to repeat."""
    timezone = session.workspace.policy.organisation.timezone
    with session.transaction() as conn:
        return store.gather(conn, regions_by_prefix(), now=session.now, timezone=timezone)


def publish_period(session: Session, period: str, *, by: str) -> list[dict[str, Any]]:
    """Publish a month (`2026-11`), once and for good. ConfigurationError where it is not closed, or was published."""
    month = _month(period)
    if session.now < closed_at(month, session.workspace.policy.organisation.timezone):
        raise ConfigurationError(f"{period} is not closed yet: a month is published {SETTLE_DAYS} days after its end.")
    if not by.strip():
        raise ConfigurationError("A period is published by a named person: give --by NAME.")
    gather_participations(session)
    k = smallest_cell(session)
    with session.transaction() as conn:
        if store.is_published(conn, period):
            raise ConfigurationError(
                f"{period} was published already. It is published once: two versions can be subtracted."
            )
        cells = [asdict(cell) for cell in protect(store.counts_of(conn, month), k=k)]
        store.publish(conn, cells, period=period, month=month, smallest_cell=k, by=by, at=session.now)
    return cells


def publish_closed(session: Session, *, by: str) -> dict[str, list[dict[str, Any]]]:
    """Publish every month that is closed and was not published yet."""
    gather_participations(session)
    timezone = session.workspace.policy.organisation.timezone
    with session.transaction() as conn:
        months = [month for month in store.gathered_months(conn) if closed_at(month, timezone) <= session.now]
    return {f"{month:%Y-%m}": publish_period(session, f"{month:%Y-%m}", by=by) for month in months}


def show_published(session: Session, period: str | None = None) -> list[dict[str, Any]]:
    """Published cells, of one month or of all."""
    with session.transaction() as conn:
        return store.published(conn, period)


def smallest_cell(session: Session) -> int:
    """The policy's smallest cell; never under ten."""
    purpose = session.workspace.policy.purposes.get("statistics")
    return max(SMALLEST, (purpose.smallest_cell if purpose else None) or SMALLEST)


def closed_at(month: date, timezone: str) -> datetime:
    """When a month is closed: some days after its end, in the organisation's timezone."""
    after = (month.replace(day=28) + timedelta(days=4)).replace(day=1) + timedelta(days=SETTLE_DAYS)
    return datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(timezone))


def _month(period: str) -> date:
    try:
        return datetime.strptime(period, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError:
        raise ConfigurationError(f"{period!r} is not a month; write YYYY-MM.") from None
