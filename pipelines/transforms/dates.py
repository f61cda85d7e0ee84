"""Columns of times: each text read as the span of UTC instants that it may mean.

The rule for one text, and the formats that a mapping may declare, are in `pipelines.transforms.civil_time`. Here is the
fast way for whole columns; it leaves to the rule whatever is impossible, repeated or skipped by the clocks, or unusual.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.transforms.civil_time import (
    CIVIL_FORMATS,
    FIRST_YEAR,
    LAST_YEAR,
    declared_zone,
    normalise_timestamp,
)
from pipelines.transforms.values import over_distinct, settle

INSTANT = pa.timestamp("us", tz="UTC")
# Fewer texts the rule has read before whole columns would have been taken apart.
FEW = 64

_NO_TIME = np.iinfo(np.int64).min
_SECOND, _DAY = 1_000_000, 86_400_000_000


@dataclass(frozen=True, slots=True)
class _CivilTimes:
    """Texts taken apart: `local_us` since 1970 by the wall clock, what they leave open, and the offset they state."""

    is_possible: np.ndarray
    local_us: np.ndarray
    is_day: np.ndarray
    is_minute: np.ndarray
    has_zone: np.ndarray
    offset_us: np.ndarray


def normalise_timestamps(column: pd.Series, *, formats: tuple[str, ...], timezone: str) -> pd.DataFrame:
    """`normalise_timestamp` over a `str` column, indexed as the input.

    Columns `occurred_from` and `occurred_to` (`datetime64[us, UTC]`, the earliest and latest instant meant; equal when
    the text is exact to the second) and `fault` (`str`). Blank cells have none of them. Raises MappingError.
    """
    zone = declared_zone(formats, timezone)

    def rule(text: str) -> tuple[object, object, str | None]:
        read = normalise_timestamp(text, formats=formats, timezone=timezone)
        return read.occurred_from, read.occurred_to, read.fault

    def decide(texts: pa.Array) -> pd.DataFrame:
        start, end = _unsure(len(texts)) if len(texts) < FEW else _plain_spans(texts, formats, zone)
        settled = {
            "occurred_from": _instants(start),
            "occurred_to": _instants(end),
            "fault": pa.nulls(len(texts), pa.large_string()),
        }
        return settle(texts, settled, rule=rule)

    return over_distinct(column, decide)


def _plain_spans(texts: pa.Array, formats: tuple[str, ...], zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """Start and end in microseconds since 1970 by the first format that has a text's shape; `_NO_TIME` if unsure."""
    start, end = _unsure(len(texts))
    is_open = np.ones(len(texts), dtype=bool)
    for name in formats:
        rows = np.flatnonzero(is_open)
        if not len(rows):
            break
        matched, spans = _spans_of_format(texts.take(pa.array(rows)), name, zone)
        start[rows[matched]], end[rows[matched]] = spans
        is_open[rows[matched]] = False
    return start, end


def _unsure(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(n, _NO_TIME), np.full(n, _NO_TIME)


def _spans_of_format(texts: pa.Array, name: str, zone: ZoneInfo) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    if name == "unix":
        return _unix_spans(texts)
    if name not in CIVIL_FORMATS:
        return _nothing()
    parts = pc.extract_regex(texts, pattern=rf"^(?:{CIVIL_FORMATS[name]})$")
    matched = np.flatnonzero(parts.is_valid().to_numpy(zero_copy_only=False))
    if not len(matched):
        return _nothing()
    return matched, _spans(_civil_times(parts.take(pa.array(matched))), zone)


def _nothing() -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    none = np.array([], dtype=np.int64)
    return none, (none, none)


def _unix_spans(texts: pa.Array) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    # Ten digits reach the year 2286; the rule refuses what lies after the last year.
    matched = np.flatnonzero(
        pc.match_substring_regex(texts, pattern=r"^[0-6]?[0-9]{1,9}$").to_numpy(zero_copy_only=False)
    )
    instants = pc.cast(texts.take(pa.array(matched)), pa.int64()).to_numpy() * _SECOND
    return matched, (instants, instants)


def _civil_times(parts: pa.StructArray) -> _CivilTimes:
    named = {
        part: _part(parts, part) for part in ("year", "month", "day", "hour", "minute", "second", "fraction", "zone")
    }
    year, month, day = (_integers(named[name]) for name in ("year", "month", "day"))
    hour, minute, second = (_integers(named[name]) for name in ("hour", "minute", "second"))
    months = np.where((month >= 1) & (month <= 12), (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    month_length = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    is_calendar = (month >= 1) & (month <= 12) & (day >= 1) & (day <= month_length)
    is_clock = (hour < 24) & (minute < 60) & (second < 60)
    days = first.astype(np.int64) + day - 1
    clock = ((hour * 60 + minute) * 60 + second) * _SECOND + _microseconds(named["fraction"])
    has_zone, offset_us, is_offset = _offsets(named["zone"])
    return _CivilTimes(
        is_possible=is_calendar & is_clock & is_offset & (year >= FIRST_YEAR) & (year <= LAST_YEAR),
        local_us=days * _DAY + clock,
        is_day=_is_missing(named["hour"]),
        is_minute=_is_missing(named["second"]),
        has_zone=has_zone,
        offset_us=offset_us,
    )


def _spans(times: _CivilTimes, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    local = np.where(times.is_possible, times.local_us, 0)
    start = np.where(times.has_zone, local - times.offset_us, _to_utc(local, zone))
    end = start + np.where(times.is_minute, 60 * _SECOND, 0)
    if times.is_day.any():
        end = np.where(times.is_day, _to_utc(local + _DAY, zone), end)
    is_sure = times.is_possible & (start > _NO_TIME + _DAY) & (end > _NO_TIME + _DAY)
    return np.where(is_sure, start, _NO_TIME), np.where(is_sure, end, _NO_TIME)


def _to_utc(local_us: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """UTC microseconds of wall-clock times; `_NO_TIME` where the clocks repeat or skip them."""
    wall = pd.DatetimeIndex(local_us.astype("datetime64[us]"))
    first = wall.tz_localize(zone, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="NaT").asi8
    second = wall.tz_localize(zone, ambiguous=np.zeros(len(wall), dtype=bool), nonexistent="NaT").asi8
    return np.where(first == second, first, _NO_TIME)


def _offsets(zone: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether a zone is stated, its offset in microseconds, and whether it is a possible one."""
    has_zone = ~_is_missing(zone)
    digits = pc.utf8_rpad(pc.replace_substring_regex(zone, pattern="[^0-9]", replacement=""), 4, padding="0")
    hours, minutes = _integers(pc.utf8_slice_codeunits(digits, 0, 2)), _integers(pc.utf8_slice_codeunits(digits, 2, 4))
    sign = np.where(pc.starts_with(zone, "-").to_numpy(zero_copy_only=False), -1, 1)
    return has_zone, sign * (hours * 60 + minutes) * 60 * _SECOND, (hours <= 14) & (minutes < 60)


def _part(parts: pa.StructArray, name: str) -> pa.Array:
    """The texts of one named group; empty throughout for a group that the format does not have."""
    if parts.type.get_field_index(name) >= 0:
        return pc.struct_field(parts, name)
    return pa.repeat("", len(parts))


def _integers(texts: pa.Array) -> np.ndarray:
    return pc.cast(pc.if_else(pc.equal(texts, ""), "0", texts), pa.int64()).to_numpy(zero_copy_only=False)


def _microseconds(fraction: pa.Array) -> np.ndarray:
    return _integers(pc.utf8_rpad(pc.utf8_slice_codeunits(fraction, 0, 6), 6, padding="0"))


def _is_missing(texts: pa.Array) -> np.ndarray:
    return pc.equal(texts, "").to_numpy(zero_copy_only=False)


def _instants(microseconds: np.ndarray) -> pa.Array:
    return pa.array(microseconds, mask=microseconds == _NO_TIME).cast(pa.timestamp("us")).cast(INSTANT)
