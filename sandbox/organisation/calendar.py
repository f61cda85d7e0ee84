"""Days and instants in the organisation's timezone: when people act and staff export, what a written time can mean."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

HELSINKI = ZoneInfo("Europe/Helsinki")

EXPORT_AT = time(11, 30)
"""The local time at which staff make the day's exports; what comes later is in the next one."""

_EXPORT_S = (EXPORT_AT.hour * 60 + EXPORT_AT.minute) * 60


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a history, both inclusive."""

    first_on: date
    until: date

    @property
    def count(self) -> int:
        return (self.until - self.first_on).days + 1


@cache
def start_of(day: date) -> datetime:
    """Midnight at which a local day begins, as UTC."""
    return datetime.combine(day, time(), HELSINKI).astimezone(UTC)


def local(instant: datetime) -> datetime:
    """The instant as clocks in Helsinki showed it, without a zone: what most sources write."""
    return instant.astimezone(HELSINKI).replace(tzinfo=None)


def local_day(instant: datetime) -> date:
    return instant.astimezone(HELSINKI).date()


def at_some_time(rng: Random, day: date) -> datetime:
    """A second of the local day between five in the morning and ten at night, as UTC."""
    return start_of(day) + timedelta(seconds=rng.randrange(5 * 3600, 22 * 3600))


def before_export(rng: Random, exported_on: date) -> datetime:
    """A second that the export of a day brings first: that morning, or the afternoon before."""
    second = rng.randrange(5 * 3600, 22 * 3600)
    day = exported_on if second < _EXPORT_S else exported_on - timedelta(days=1)
    return start_of(day) + timedelta(seconds=second)


def minute_of(instant: datetime) -> tuple[datetime, datetime]:
    """The instant's minute: its first instant, and the next minute's."""
    start = instant.replace(second=0, microsecond=0)
    return start, start + timedelta(minutes=1)


def day_of(instant: datetime) -> tuple[datetime, datetime]:
    """The instant's local day: its midnight, and the next day's."""
    day = local_day(instant)
    return start_of(day), start_of(day + timedelta(days=1))


def exactly(instant: datetime) -> tuple[datetime, datetime]:
    """An instant that its source states with its zone, or to the second."""
    return instant, instant
