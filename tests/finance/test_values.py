"""Finance's values: account numbers, e-invoice addresses, amounts; and how long accounting law keeps an entry."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.transforms.finance.keeping import fiscal_year_end, kept_until
from pipelines.transforms.finance.values import (
    normalise_amount,
    normalise_einvoice_address,
    normalise_einvoice_operator,
    normalise_iban,
    party_rule,
)
from schemas.finance import PARTY_FIELDS, FinancePolicy, RecordClass


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("FI21 1234 5600 0007 85", "FI2112345600000785"),
        ("fi21-1234-5600-0007-85", "FI2112345600000785"),
        ("SE45 5000 0000 0583 9825 7466", "SE4550000000058398257466"),
    ],
)
def test_an_account_number_is_compact_and_verified(text: str, value: str) -> None:
    assert normalise_iban(text).value == value


@pytest.mark.parametrize("text", ["FI21 1234 5600 0007 86", "FI21 1234", "12345", "account on request"])
def test_an_account_number_with_wrong_check_digits_is_refused(text: str) -> None:
    assert (normalise_iban(text).value, normalise_iban(text).fault) == (None, "iban_invalid")


@pytest.mark.parametrize("text", ["003790000003", "0037 9000 0003 LASKU", "003790000003a1", "FI2112345600000785"])
def test_an_e_invoice_address_is_an_ovt_code_or_an_account(text: str) -> None:
    assert normalise_einvoice_address(text).value == text.replace(" ", "").upper()


@pytest.mark.parametrize(
    "text",
    ["003790000007", "003790000003TOOLONG", "00379000000", "TE003790000003", "Laskutie 1", "003790000003-"],
)
def test_an_ovt_code_with_a_wrong_business_id_or_length_is_refused(text: str) -> None:
    found = normalise_einvoice_address(text)
    assert found.value == "003790000003" if text.endswith("-") else found.fault == "einvoice_address_invalid"


def test_an_operator_is_an_ovt_code_or_a_bic() -> None:
    assert normalise_einvoice_operator("003790000003").value == "003790000003"
    assert normalise_einvoice_operator("ndeafihh").value == "NDEAFIHH"
    assert normalise_einvoice_operator("Operator no 1").fault == "einvoice_operator_invalid"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            ("1 234,50 €", "1234.50"),
            ("120", "120.00"),
            ("120.0", "120.00"),
            ("99,9 eur", "99.90"),
            ("-20,00", "-20.00"),
        ),
        *(
            ("1.234,50", "1234.50"),
            ("120.00", "120.00"),
            ("12,345", None),
            ("12 34", None),
            ("free", None),
            ("1e3", None),
        ),
        *(
            ("120.0000", "120.00"),
            ("90.5000", "90.50"),
            ("1200.0000", "1200.00"),
            ("1200.000", "1200.00"),
            ("0.500", "0.50"),
            ("-120,5000", "-120.50"),
            ("120.1234", None),
        ),
        *(
            ("1 200", "1200.00"),
            ("1.200,00", "1200.00"),
            ("1.200.000", "1200000.00"),
            ("1 234,500", "1234.50"),
            ("999 999 999 999", "999999999999.00"),
            ("1 000 000 000 000", None),
            ("1000000000000", None),
        ),
        *(("120.000", None), ("1.200", None), ("1,200", None), ("-12.340", None), ("1.200 €", None)),
    ],
)
def test_amounts_are_read_as_finns_and_machines_write_them(text: str, value: str | None) -> None:
    assert normalise_amount(text).value == value
    assert (normalise_amount(text).fault == "amount_invalid") is (value is None)


@given(st.integers(-(10**11), 10**11))
def test_an_amount_written_with_two_decimals_is_read_back(cents: int) -> None:
    written = f"{'-' if cents < 0 else ''}{abs(cents) // 100},{abs(cents) % 100:02d}"
    assert normalise_amount(written).value == written.replace(",", ".").replace("-0.00", "0.00")


@given(st.text(max_size=40), st.sampled_from(PARTY_FIELDS))
def test_every_text_is_a_value_a_fault_or_nothing(text: str, field: str) -> None:
    found = party_rule(field, country="FI")(text)
    assert found.value is None or found.fault is None


def test_the_worked_example_of_the_accounting_act() -> None:
    """A fiscal year that ended on 31 March 2024: vouchers until the end of 2030, books until 31 March 2034."""
    policy = FinancePolicy(fiscal_year_ends="03-31")
    year_end = fiscal_year_end(date(2023, 6, 15), policy)
    assert year_end == date(2024, 3, 31)
    assert kept_until(year_end, RecordClass.VOUCHER, policy) == date(2030, 12, 31)
    assert kept_until(year_end, RecordClass.BOOKS, policy) == date(2034, 3, 31)


def test_a_calendar_year_is_kept_to_the_end_of_the_sixth_and_the_tenth() -> None:
    policy, year_end = FinancePolicy(), date(2026, 12, 31)
    assert fiscal_year_end(date(2026, 12, 31), policy) == fiscal_year_end(date(2026, 1, 1), policy) == year_end
    assert kept_until(year_end, RecordClass.VOUCHER, policy) == date(2032, 12, 31)
    assert kept_until(year_end, RecordClass.BOOKS, policy) == date(2036, 12, 31)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from(["12-31", "03-31", "02-29", "06-30"]))
def test_an_entry_is_kept_for_the_years_of_the_law_at_least(dated_on: date, ends: str) -> None:
    policy = FinancePolicy(fiscal_year_ends=ends)
    year_end = fiscal_year_end(dated_on, policy)
    assert dated_on <= year_end <= dated_on + timedelta(days=366)
    for record_class, years in ((RecordClass.VOUCHER, 6), (RecordClass.BOOKS, 10)):
        until = kept_until(year_end, record_class, policy)
        assert years * 365 <= (until - year_end).days <= (years + 1) * 366


def test_no_policy_can_keep_entries_for_less_than_the_law() -> None:
    for short in ({"voucher_years": 5}, {"book_years": 9}):
        with pytest.raises(ValueError, match="greater than or equal"):
            FinancePolicy(**short)
