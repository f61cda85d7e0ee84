"""Courses and events: what people register for, some long over, some far ahead.

Forms of one event state it in their mapping, so the two single events here have fixed days; the others move with the
history's last day.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from sandbox.organisation.calendar import start_of
from sandbox.organisation.names import COURSE_SUBJECTS

_LONG_OVER_DAYS = 900
_AHEAD_DAYS = 240


@dataclass(frozen=True, slots=True)
class Occasion:
    """A course or event: `id` within its source, its first and last instant (UTC), `price_eur` 0 when free."""

    id: str
    name: str
    field: str | None
    starts_at: datetime
    ends_at: datetime
    price_eur: int = 0


SPRING_DAY = Occasion(
    id="kevatpaiva-2027",
    name="Kevätpäivä yrityksille 2027",
    field="business",
    starts_at=datetime(2027, 3, 18, 7, 0, tzinfo=UTC),
    ends_at=datetime(2027, 3, 18, 14, 0, tzinfo=UTC),
)
SEMINAR = Occasion(
    id="sote-seminaari-2026",
    name="Sote-alan seminaari 2026",
    field="health",
    starts_at=datetime(2026, 11, 5, 7, 0, tzinfo=UTC),
    ends_at=datetime(2026, 11, 6, 14, 0, tzinfo=UTC),
    price_eur=150,
)


def make_courses(rng: Random, *, count: int, until: date, prefix: str) -> list[Occasion]:
    """`count` courses: a tenth ended more than two years before `until`, a third lie ahead, the rest are under way."""
    return [_course(rng, f"{prefix}-{n:05d}", until + timedelta(days=_first_day(rng))) for n in range(1, count + 1)]


def make_events(rng: Random, *, until: date) -> list[Occasion]:
    """Twelve one-day events in the 90 days before and after `until`."""
    offsets = [rng.randrange(-90, -1) for _ in range(6)] + [rng.randrange(2, 90) for _ in range(6)]
    return [_event(rng, f"T-{n:03d}", until + timedelta(days=offset)) for n, offset in enumerate(offsets, start=1)]


def _first_day(rng: Random) -> int:
    roll = rng.random()
    if roll < 0.10:
        return rng.randrange(-_LONG_OVER_DAYS - 300, -_LONG_OVER_DAYS)
    return rng.randrange(-200, 10) if roll < 0.67 else rng.randrange(10, _AHEAD_DAYS)


def _course(rng: Random, course_id: str, first_on: date) -> Occasion:
    name, field = rng.choice(COURSE_SUBJECTS)
    starts_at = start_of(first_on) + timedelta(hours=rng.choice((9, 13, 17)))
    ends_at = starts_at + timedelta(days=rng.choice((1, 30, 90, 150)), hours=3)
    return Occasion(course_id, name, field, starts_at, ends_at, price_eur=rng.choice((0, 0, 90, 240, 1200)))


def _event(rng: Random, event_id: str, day: date) -> Occasion:
    name, field = rng.choice(COURSE_SUBJECTS)
    starts_at = start_of(day) + timedelta(hours=9)
    price = rng.choice((0, 0, 50))
    return Occasion(event_id, f"Iltapäivä: {name}", field, starts_at, starts_at + timedelta(hours=6), price_eur=price)
