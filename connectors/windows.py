"""Windows of days over pulled sources: which instants a window asks for, and when each pulled row counts as received.

A pulled row counts as received at the end of the day on which it last changed, or now where that day is not over; so a
day pulled again, however late, gives the same answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.errors import MappingError
from schemas.mappings import Mapping
from schemas.records import Window

_FRACTION = re.compile(r"(\.\d{1,6})\d*")
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PullWindow:
    """The instants `since` (inclusive) to `until` (exclusive), both UTC, and what is needed to judge a row by them.

    `clock` is the zone of the source's times that carry none; `days` the zone in which days are told apart.
    """

    since: datetime
    until: datetime
    clock: ZoneInfo
    days: ZoneInfo
    now: datetime

    def holds(self, instant: datetime | None) -> bool:
        """Whether a row changed within the window; a row without a readable time is never left out."""
        return instant is None or self.since <= instant < self.until

    def received_at(self, instant: datetime | None) -> datetime:
        """When a row that changed at `instant` counts as received (UTC)."""
        day_end = self.until if instant is None else _day_end(instant, self.days)
        return min(self.now, day_end - _TICK)


def pull_window(mapping: Mapping, window: Window, *, timezone: str, now: datetime) -> PullWindow:
    """From the overlap before the first day to the end of the last, in the organisation's `timezone`."""
    days = _zone(timezone)
    first_on = window.first_on - timedelta(days=mapping.overlap_days)
    return PullWindow(
        since=datetime.combine(first_on, time.min, days).astimezone(UTC),
        until=datetime.combine(window.last_on + timedelta(days=1), time.min, days).astimezone(UTC),
        clock=_zone((mapping.changed_at or mapping.submitted_at).timezone),
        days=days,
        now=now.astimezone(UTC),
    )


def read_instant(text: str | None, clock: ZoneInfo) -> datetime | None:
    """The instant (UTC) of an ISO 8601 time or of Unix seconds; None where it is neither.

    A time without a zone is `clock`'s. Only the pull is steered by it: what a row's time means is for the mapping.
    """
    if not text:
        return None
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text.strip()))
        return (moment if moment.tzinfo else moment.replace(tzinfo=clock)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def newest(instants: Sequence[datetime | None]) -> str | None:
    """The latest of the instants as ISO text: the watermark; None where no row tells its time."""
    known = [instant for instant in instants if instant is not None]
    return max(known).isoformat() if known else None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise MappingError(f"Unknown time zone {name!r}. Use a name such as Europe/Helsinki.") from None


def _day_end(instant: datetime, days: ZoneInfo) -> datetime:
    next_day = instant.astimezone(days).date() + timedelta(days=1)
    return datetime.combine(next_day, time.min, days).astimezone(UTC)
