"""What the CRM would refuse, found before a row is sent: one bad row fails a whole bulk call and hides itself.

Pure: a definition is a plain mapping, as `TableDefinition.columns` is.
"""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Literal

from connectors.dataverse.contract import Row

Fault = Literal["too_long", "option_unknown", "wrong_type", "unknown_column"]

_BIND = "@odata.bind"
_INTEGERS = {"Integer": 31, "BigInt": 63}
# As the server reads them: one way to write a moment, and a bind that names one row.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_REFERENCE = re.compile(rf"/?\w+\(({_GUID}|\w+=.+)\)", re.DOTALL)
_CHOICES = re.compile(r"-?\d{1,10}(,-?\d{1,10})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with one column of a row; never the value."""

    column: str
    fault: Fault


def validate_rows(rows: Sequence[Row], definition: Mapping[str, Mapping[str, object]]) -> list[tuple[RowFault, ...]]:
    """The faults of each row, in the order of the rows and of their columns; an empty tuple for a sound row.

    `definition` maps a column, or a navigation property (type `Navigation`), to `type`, `max_length` and `options`.
    None clears a column and is always sound. Over-long text is never cut. Letter case counts: the logical name of a
    lookup cannot be bound, its navigation property can.
    """
    return [_row_faults(row, definition) for row in rows]


def _row_faults(row: Row, definition: Mapping[str, Mapping[str, object]]) -> tuple[RowFault, ...]:
    found = ((column, _fault(column, value, definition=definition)) for column, value in row.items())
    return tuple(RowFault(column, fault) for column, fault in found if fault is not None)


def _fault(column: str, value: object, *, definition: Mapping[str, Mapping[str, object]]) -> Fault | None:
    facts = definition.get(column.removesuffix(_BIND))
    is_bind = column.endswith(_BIND)
    if facts is None or (is_bind and facts.get("type") != "Navigation"):
        return "unknown_column"
    if value is None:
        return None
    if is_bind:
        return None if isinstance(value, str) and _REFERENCE.fullmatch(value) else "wrong_type"
    accepts = _ACCEPTS.get(str(facts.get("type")))
    if accepts is None or not accepts(value):
        return "wrong_type"
    return _limit_fault(value, facts)


def _limit_fault(value: object, facts: Mapping[str, object]) -> Fault | None:
    limit, options = facts.get("max_length"), facts.get("options")
    if isinstance(limit, int) and isinstance(value, str) and utf16_length(value) > limit:
        return "too_long"
    if isinstance(options, Sequence) and not set(_chosen(value)) <= set(options):
        return "option_unknown"
    return None


def utf16_length(text: str) -> int:
    """The length that a column's limit counts: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def _chosen(value: object) -> list[object]:
    if isinstance(value, str):
        return [int(part) for part in value.split(",") if part]
    return [value]


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_option(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_integer(bits: int) -> Callable[[object], bool]:
    return lambda value: _is_option(value) and isinstance(value, int) and -(1 << bits) <= value < 1 << bits


def _is_number(value: object) -> bool:
    return _is_option(value) or (isinstance(value, float | Decimal) and isfinite(value))


def _is_moment(value: object) -> bool:
    """A moment with its zone; a naive one would be read in the server's."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if _MOMENT.fullmatch(value) else None
        except ValueError:
            return False
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_day(value: object) -> bool:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_choices(value: object) -> bool:
    return isinstance(value, str) and (value == "" or _CHOICES.fullmatch(value) is not None)


def _is_guid(value: object) -> bool:
    return isinstance(value, uuid.UUID) or (isinstance(value, str) and re.fullmatch(_GUID, value) is not None)


# Lookups are written by `@odata.bind` only, so a bare lookup column accepts nothing.
_ACCEPTS: dict[str, Callable[[object], bool]] = {
    "String": _is_text,
    "Memo": _is_text,
    "Boolean": _is_bool,
    "Integer": _is_integer(_INTEGERS["Integer"]),
    "BigInt": _is_integer(_INTEGERS["BigInt"]),
    "Decimal": _is_number,
    "Double": _is_number,
    "Money": _is_number,
    "DateTime": _is_moment,
    "DateOnly": _is_day,
    "Picklist": _is_option,
    "State": _is_option,
    "Status": _is_option,
    "MultiSelectPicklist": _is_choices,
    "Uniqueidentifier": _is_guid,
}
