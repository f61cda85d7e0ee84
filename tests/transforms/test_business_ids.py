"""Identifiers of organisations by their check digits."""

import pandas as pd
import pytest

from pipelines.transforms.business_ids import (
    normalise_business_id,
    normalise_business_ids,
    normalise_vat_id,
)
from pipelines.transforms.values import ABSENT, Value


@pytest.mark.parametrize("text", ["2077474-0", "20774740", "FI20774740", " fi 2077474–0 ", "2077474\u00a0-\u200b0"])
def test_a_business_id_is_read_in_all_its_forms(text: str) -> None:
    assert normalise_business_id(text) == Value("2077474-0")


def test_a_leading_zero_taken_by_a_spreadsheet_comes_back() -> None:
    assert normalise_business_id("1120389") == normalise_business_id("112038-9") == Value("0112038-9")


@pytest.mark.parametrize("text", ["2077474-1", "207747-0", "2077474-00", "abc", "2077474.0"])
def test_a_wrong_check_digit_is_refused(text: str) -> None:
    assert normalise_business_id(text) == Value(None, "business_id_invalid")


@pytest.mark.parametrize(("text", "vat"), [("fi 20774740", "FI20774740"), ("SE556703748501", "SE556703748501")])
def test_a_vat_number_carries_its_country(text: str, vat: str) -> None:
    assert normalise_vat_id(text) == Value(vat)


@pytest.mark.parametrize("text", ["20774740", "FI20774741", "2077474-0", "XX123"])
def test_a_vat_number_without_country_or_with_a_wrong_digit_is_refused(text: str) -> None:
    assert normalise_vat_id(text) == Value(None, "vat_id_invalid")


def test_columns_follow_the_rules() -> None:
    column = pd.Series(["FI20774740", None, "FI20774740", "x"], dtype="str")
    assert list(normalise_business_ids(column).values.fillna("")) == ["2077474-0", "", "2077474-0", ""]
    assert list(normalise_business_ids(column).faults.fillna("")) == ["", "", "", "business_id_invalid"]
    assert normalise_vat_id(" ") == normalise_business_id("-") == ABSENT
