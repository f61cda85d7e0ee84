"""Times as the sources write them, read as the span of instants that they may mean; one rule, for one text.

`pipelines.transforms.dates` lifts it over columns. A source's formats are declared in its mapping and never
guessed: month-first is not among them, and what no declared format reads is a fault.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipelines.transforms.text import damage, is_blank, tidy
from schemas.errors import MappingError
from schemas.faults import FAULTS

FIRST_YEAR, LAST_YEAR = 1900, 2200

_YMD = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_DMY = r"(?P<day>[0-9]{1,2})\. ?(?P<month>[0-9]{1,2})\. ?(?P<year>[0-9]{4})"
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
_ZONE = r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"

# Shapes in the syntax that Python's `re` and Arrow's RE2 share, so that both ways read the same texts.
CIVIL_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "iso": rf"{_YMD}(?:[Tt ]{_CLOCK} ?{_ZONE}?)?",
        "fi_date": _DMY,
        "fi_datetime": (
            rf"{_DMY} (?:klo )?(?P<hour>[0-9]{{1,2}})[.:](?P<minute>[0-9]{{2}})(?:[.:](?P<second>[0-9]{{2}}))?"
        ),
        "sv_datetime": rf"{_YMD} (?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}))?",
        "drupal": rf"{_YMD} (?P<hour>[0-9]{{2}}):(?P<minute>[0-9]{{2}}):(?P<second>[0-9]{{2}})",
    }
)
NUMERIC_FORMATS: Mapping[str, str] = MappingProxyType(
    {"unix": "[0-9]{1,11}", "unix_ms": "[0-9]{12,14}", "excel_serial": r"[0-9]{1,7}(?:\.[0-9]+)?"}
)

_PATTERNS = {name: re.compile(shape) for name, shape in {**CIVIL_FORMATS, **NUMERIC_FORMATS}.items()}
_ORDER_UNKNOWN = re.compile(
    r"[0-9]{1,2}([/-])[0-9]{1,2}\1(?:[0-9]{4}|[0-9]{2})(?:[^0-9].*)?|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{2}(?:[^0-9].*)?"
)

# Serial 60 is 29 February 1900, which never was; days before it differ between Excel and its successors.
_EXCEL_EPOCH, _FIRST_SERIAL = datetime(1899, 12, 30), 61


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The earliest and the latest instant (UTC) that a text may mean, or the fault; all None when it was blank.

    Equal when the text is exact to the second; a minute ends 60 s later, a date at the next local midnight, and a time
    in the hour that the clocks repeat spans both readings.
    """

    occurred_from: datetime | None
    occurred_to: datetime | None
    fault: str | None = None


class _Impossible(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def normalise_timestamp(text: str, *, formats: tuple[str, ...], timezone: str) -> Occurrence:
    """The instants that `text` may mean, by the first of `formats` that has its shape; local times are `timezone`'s.

    Faults: `date_unreadable`, `date_ambiguous`, `date_impossible`, `time_impossible`, `time_skipped`, and damage.
    Raises MappingError for a format or zone that does not exist, or for two formats that read one text differently.
    """
    zone = declared_zone(formats, timezone)
    tidied = tidy(text)
    if is_blank(tidied):
        return Occurrence(None, None)
    if code := damage(text):
        return _fault(code)
    for name in formats:
        if matched := _PATTERNS[name].fullmatch(tidied):
            return _read(name, matched, zone)
    return _fault("date_ambiguous" if _ORDER_UNKNOWN.fullmatch(tidied) else "date_unreadable")


def declared_zone(formats: tuple[str, ...], timezone: str) -> ZoneInfo:
    """The zone of a mapping's declaration, once its formats are known to exist and not to contradict each other."""
    if unknown := sorted(set(formats) - set(_PATTERNS)):
        raise MappingError(f"Unknown date formats: {', '.join(unknown)}. Known are {', '.join(sorted(_PATTERNS))}.")
    if len(set(NUMERIC_FORMATS) & set(formats)) > 1:
        raise MappingError("A column cannot be two of unix, unix_ms, excel_serial: all are plain numbers. Declare one.")
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise MappingError(f"Unknown time zone {timezone!r}. Use a name such as Europe/Helsinki.") from None


def _read(name: str, matched: re.Match[str], zone: ZoneInfo) -> Occurrence:
    try:
        if name == "unix":
            return _exact(_unix(int(matched[0])))
        if name == "unix_ms":
            return _exact(_unix(int(matched[0][:-3])) + timedelta(milliseconds=int(matched[0][-3:])))
        if name == "excel_serial":
            return _of_serial(matched[0], zone)
        return _of_civil({key: part for key, part in matched.groupdict().items() if part}, zone)
    except _Impossible as impossible:
        return _fault(impossible.code)


def _unix(seconds: int) -> datetime:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    if instant.year > LAST_YEAR:
        raise _Impossible("date_impossible")
    return instant


def _of_serial(text: str, zone: ZoneInfo) -> Occurrence:
    days = float(text)
    if days < _FIRST_SERIAL or int(days) > (datetime(LAST_YEAR, 12, 31) - _EXCEL_EPOCH).days:
        raise _Impossible("date_impossible")
    local = _EXCEL_EPOCH + timedelta(days=int(days), seconds=round(days % 1 * 86_400))
    if days.is_integer():
        return _whole_day(local.date(), zone)
    # A cell holds no precision: a time on the full minute was most likely typed as one.
    return _of_clock(local, timedelta(seconds=0 if local.second else 60), zone)


def _of_civil(parts: dict[str, str], zone: ZoneInfo) -> Occurrence:
    day = _calendar_day(int(parts["year"]), int(parts["month"]), int(parts["day"]))
    if "hour" not in parts:
        return _whole_day(day, zone)
    local = datetime.combine(day, _clock_time(parts))
    precision = timedelta(seconds=0 if "second" in parts else 60)
    if "zone" in parts:
        instant = local.replace(tzinfo=UTC) - _offset(parts["zone"])
        return Occurrence(instant, instant + precision)
    return _of_clock(local, precision, zone)


def _calendar_day(year: int, month: int, day: int) -> date:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise _Impossible("date_impossible")
    try:
        return date(year, month, day)
    except ValueError:
        raise _Impossible("date_impossible") from None


def _clock_time(parts: dict[str, str]) -> time:
    # PostgreSQL keeps microseconds: further digits are cut off, not rounded, so that no time moves forward.
    microsecond = int(parts.get("fraction", "0")[:6].ljust(6, "0"))
    try:
        return time(int(parts["hour"]), int(parts["minute"]), int(parts.get("second", "0")), microsecond)
    except ValueError:
        raise _Impossible("time_impossible") from None


def _offset(zone: str) -> timedelta:
    if zone in "Zz":
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 14 or minutes > 59:
        raise _Impossible("time_impossible")
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def _of_clock(local: datetime, precision: timedelta, zone: ZoneInfo) -> Occurrence:
    readings = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    if len(readings) > 1 and min(readings).astimezone(zone).replace(tzinfo=None, fold=0) != local:
        raise _Impossible("time_skipped")
    return Occurrence(min(readings), max(readings) + precision)


def _whole_day(day: date, zone: ZoneInfo) -> Occurrence:
    midnights = (datetime.combine(day + timedelta(days=days), time(0)) for days in (0, 1))
    # Where midnight itself is skipped or repeated, fold 0 is the instant at which the day begins.
    start, end = (midnight.replace(tzinfo=zone, fold=0).astimezone(UTC) for midnight in midnights)
    return Occurrence(start, end)


def _exact(instant: datetime) -> Occurrence:
    return Occurrence(instant, instant)


def _fault(code: str) -> Occurrence:
    return Occurrence(None, None, FAULTS[code].code)
