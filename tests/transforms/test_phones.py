"""Phone numbers: the traps of spreadsheets and of Finnish habits, and that whole columns follow the same rule."""

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms.phones import normalise_phone, normalise_phones
from pipelines.transforms.values import Value
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

DIGITS = st.text("0123456789", min_size=4, max_size=9)
PREFIX = st.sampled_from(
    ["", "+358", "00358", "0", "+358 ", "+46", "+44 7700 900", "00447700900", "040", "050-", "358", "-", " "]
)
NUMBER = st.builds("{}{}{}".format, PREFIX, DIGITS, st.sampled_from(["", " ", ".0", " (työ)", "/4", "\u200e", "x5"]))
SYMBOLS = st.text("0458+-() ./,eE\u00a0\u200e\n", max_size=16)


@EXAMPLES
@example(
    ["0040123456", "0449550123", "+358 44 955 0123", "00358-44-9550123", "+4477009001", "+46 70 1740605", "-0449550123"]
)
@given(st.lists(NUMBER | SYMBOLS, max_size=15))
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str]) -> None:
    column = normalise_phones(pd.Series(texts, dtype="str"))
    values, faults = (series.astype(object).where(series.notna(), None) for series in (column.values, column.faults))
    assert [Value(*row) for row in zip(values, faults, strict=True)] == [normalise_phone(text) for text in texts]


@EXAMPLES
@given(NUMBER)
def test_a_number_in_e164_stays_as_it_is(text: str) -> None:
    if written := normalise_phone(text).value:
        assert normalise_phone(written) == Value(written)


@pytest.mark.parametrize("text", ["0449550123.0", "4.49550123E8", "449550123e0", "0449550123,0", "+447700900123.00"])
def test_a_number_recounted_by_a_spreadsheet_is_refused(text: str) -> None:
    assert normalise_phone(text).fault == "phone_float"


def test_dots_between_groups_are_not_decimals() -> None:
    assert normalise_phone("044.955.0123").value == "+358449550123"


def test_a_number_that_lost_its_leading_zero_is_still_read() -> None:
    assert normalise_phone("449550123").value == "+358449550123"


def test_a_short_finnish_mobile_number_is_kept_for_the_plan_allows_it() -> None:
    assert normalise_phone("04495501").value == "+3584495501"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0700123456", "phone_premium"),
        ("0201234567", "phone_service_number"),
        ("0800123456", "phone_service_number"),
        ("112", "phone_invalid"),
        ("040123abc", "phone_invalid"),
        ("044 955 0123 (0)", "phone_invalid"),
        ("ei ole", "phone_invalid"),
    ],
)
def test_a_number_behind_which_no_person_is_is_refused(text: str, fault: str) -> None:
    assert normalise_phone(text) == Value(None, fault)


@pytest.mark.parametrize("separator", ["/", " / ", " tai ", ", ", ";", "\n"])
def test_two_numbers_in_one_cell_are_refused(separator: str) -> None:
    assert normalise_phone(f"+447700900123{separator}+447700900124").fault == "phone_several"
    assert normalise_phone(f"+447700900123{separator}+44 7700 900123").value == "+447700900123"


@pytest.mark.parametrize(
    "text",
    [
        "+44 7700 900123",
        "00447700900123",
        "\u200e+447700900123\u202c",
        "+44 7700 900123 (työ)",
        "+44 (0)7700 900123",
        "puh. +447700900123",
        "tel:+44-7700-900123",
        "+44 7700 900123 ext 5",
        "＋４４７７００９００１２３",
    ],
)
def test_the_ways_in_which_people_write_one_number(text: str) -> None:
    assert normalise_phone(text) == Value("+447700900123")


def test_the_finnish_way_of_writing_the_trunk_zero_is_read() -> None:
    assert normalise_phone("+358 (0)44 955 0123").value == "+358449550123"


def test_blank_cells_are_absent() -> None:
    column = normalise_phones(pd.Series(["", None, " - "], dtype="str"))
    assert column.values.isna().all()
    assert column.faults.isna().all()
