"""Faults found in rows before they are sent."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from connectors.dataverse import RowFault, validate_rows

COLUMNS: dict[str, dict[str, object]] = {
    "contactid": {"type": "Uniqueidentifier"},
    "firstname": {"type": "String", "max_length": 5},
    "donotbulkemail": {"type": "Boolean"},
    "gendercode": {"type": "Picklist", "options": [1, 2]},
    "choices": {"type": "MultiSelectPicklist", "options": [1, 2, 3]},
    "birthdate": {"type": "DateOnly"},
    "occurred": {"type": "DateTime"},
    "count": {"type": "Integer"},
    "revenue": {"type": "Money"},
    "parentcustomerid": {"type": "Customer"},
    "msevtmgt_contactid": {"type": "Lookup"},
    "msevtmgt_ContactId": {"type": "Navigation"},
}
ID = "0f0e0d0c-0b0a-4908-8706-050403020100"

SOUND = [
    ("contactid", ID),
    ("firstname", "Äiti5"),
    ("firstname", ""),
    ("firstname", None),
    ("donotbulkemail", False),
    ("gendercode", 2),
    ("choices", "1,3"),
    ("birthdate", date(2000, 2, 29)),
    ("birthdate", "2000-02-29"),
    ("occurred", datetime(2026, 1, 1, tzinfo=UTC)),
    ("occurred", "2026-10-02T08:00:00Z"),
    ("occurred", "2026-10-02T08:00:00.123+02:00"),
    ("msevtmgt_ContactId@odata.bind", "contacts(externaluseridentifier='a(b)')"),
    ("count", -1),
    ("revenue", Decimal("1.10")),
    ("msevtmgt_ContactId@odata.bind", f"/contacts({ID})"),
    ("msevtmgt_ContactId@odata.bind", None),
]

UNSOUND = [
    ("firstname", "123456", "too_long"),
    ("firstname", "😀😀😀", "too_long"),
    ("firstname", 5, "wrong_type"),
    ("firstname", "\ud800", "wrong_type"),
    ("firstname", "a\0b", "wrong_type"),
    ("Firstname", "x", "unknown_column"),
    ("donotbulkemail", 0, "wrong_type"),
    ("donotbulkemail", "false", "wrong_type"),
    ("gendercode", 3, "option_unknown"),
    ("gendercode", True, "wrong_type"),
    ("gendercode", "1", "wrong_type"),
    ("choices", "1,9", "option_unknown"),
    ("choices", "one", "wrong_type"),
    ("birthdate", "2000-02-30", "wrong_type"),
    ("birthdate", "2026-10-02T00:00:00Z", "wrong_type"),
    ("birthdate", datetime(2026, 1, 1, tzinfo=UTC), "wrong_type"),
    ("occurred", datetime(2026, 1, 1), "wrong_type"),
    ("occurred", "2026-10-02T08:00:00", "wrong_type"),
    ("count", 1 << 31, "wrong_type"),
    ("count", 1.0, "wrong_type"),
    ("revenue", float("nan"), "wrong_type"),
    ("contactid", "x", "wrong_type"),
    ("parentcustomerid", ID, "wrong_type"),
    ("msevtmgt_contactid@odata.bind", f"/contacts({ID})", "unknown_column"),
    ("msevtmgt_ContactId@odata.bind", ID, "wrong_type"),
    ("msevtmgt_ContactId@odata.bind", "/contacts()", "wrong_type"),
    ("msevtmgt_ContactId@odata.bind", "/contacts(x)", "wrong_type"),
    ("occurred", "2026-W01-1T08:00Z", "wrong_type"),
    ("occurred", "20261002T080000Z", "wrong_type"),
    ("occurred", "2026-10-02 08:00:00+02:00", "wrong_type"),
    ("occurred", "2026-13-02T08:00:00Z", "wrong_type"),
    ("choices", "--1", "wrong_type"),
    ("choices", "1,,2", "wrong_type"),
    ("contactid", f"{{{ID}}}", "wrong_type"),
]


@pytest.mark.parametrize(("column", "value"), SOUND)
def test_sound_values_have_no_fault(column: str, value: object) -> None:
    assert validate_rows([{column: value}], COLUMNS) == [()]


@pytest.mark.parametrize(("column", "value", "fault"), UNSOUND)
def test_what_the_server_would_refuse_is_found(column: str, value: object, fault: str) -> None:
    assert validate_rows([{column: value}], COLUMNS) == [(RowFault(column, fault),)]  # type: ignore[arg-type]


def test_faults_keep_the_order_of_rows_and_columns() -> None:
    rows: list[dict[str, object]] = [{"firstname": "ok"}, {"gendercode": 9, "firstname": "too long", "nosuch": 1}]
    assert validate_rows(rows, COLUMNS) == [
        (),
        (
            RowFault("gendercode", "option_unknown"),
            RowFault("firstname", "too_long"),
            RowFault("nosuch", "unknown_column"),
        ),
    ]
