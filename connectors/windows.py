"""Windows of days over pulled sources: which instants a window asks for, and when each pulled row counts as received.

A pulled row counts as received at the end of the day on which it last changed, or now where that day is not over; so a
day pulled again, however late, gives the same answer.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.errors import MappingError
from schemas.mappings import Mapping, TimeFormat
from schemas.records import Window

_FRACTION = re.compile(r"(\.\d{1,6})\d*")
_FINNISH = re.compile(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})(?: (?:klo )?(\d{1,2})[.:](\d{2})(?:[.:](\d{2}))?)?", re.ASCII)
_ONE_DIGIT_HOUR = re.compile(r" (?=\d:)")
FINNISH_FORMATS = frozenset({TimeFormat.FI_DATE, TimeFormat.FI_DATETIME})
_SERIAL, _EXCEL_EPOCH = re.compile(r"\d{1,7}(?:\.\d+)?", re.ASCII), datetime.fromisoformat("1899-12-30")
# So many seconds are beyond the year 5000.
_FEWEST_MS_DIGITS = 12
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


def row_instant(mapping: Mapping, text_of: Callable[[str], str | None]) -> datetime | None:
    """When a row last changed (UTC), by the mapping's own columns and forms: since it was submitted, where it never did.

    `text_of` gives a column's text. None where no time is readable.
    """
    for told in (mapping.changed_at, mapping.submitted_at):
        text = text_of(told.column) if told is not None and told.column is not None else None
        if told is not None and text and text.strip():
            return read_instant(text, _zone(told.timezone), told.formats)
    return None


def read_instant(text: str | None, clock: ZoneInfo, formats: Sequence[TimeFormat] = ()) -> datetime | None:
    """The instant (UTC) of a time as a mapping may declare it; None where it is none.

    A time without a zone is `clock`'s. ISO 8601 and Unix times (of 12 digits or more: in milliseconds) are read whatever
    `formats` say, others where they say so. Only the pull is steered by it: what a row's time means is for the mapping.
    """
    if not text:
        return None
    try:
        moment = _moment(text.strip(), formats)
        return (moment if moment.tzinfo else moment.replace(tzinfo=clock)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(text: str, formats: Sequence[TimeFormat]) -> datetime:
    if TimeFormat.EXCEL_SERIAL in formats and _SERIAL.fullmatch(text):
        return _EXCEL_EPOCH + timedelta(days=float(text))
    if text.isdecimal():
        return datetime.fromtimestamp(int(text) / (1000 if len(text) >= _FEWEST_MS_DIGITS else 1), UTC)
    if not FINNISH_FORMATS.isdisjoint(formats) and (finnish := _FINNISH.fullmatch(text)):
        day, month, year, hour, minute, second = (int(part or 0) for part in finnish.groups())
        return datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    return datetime.fromisoformat(_ONE_DIGIT_HOUR.sub(" 0", _FRACTION.sub(r"\1", text)))


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
