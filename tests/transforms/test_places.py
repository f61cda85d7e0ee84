"""Countries and postal codes as people and spreadsheets write them."""

import pandas as pd
import pycountry
import pytest

from pipelines.transforms.places import (
    normalise_countries,
    normalise_country,
    normalise_postal_code,
    normalise_postal_codes,
)
from pipelines.transforms.values import ABSENT, Value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Suomi", "FI"),
        ("FINLAND", "FI"),
        ("Finland/Suomi", "FI"),
        ("Suomi - Finland", "FI"),
        ("Finland (Suomi)", "FI"),
        ("fi", "FI"),
        ("FIN", "FI"),
        ("Sverige", "SE"),
        ("Ruotsi", "SE"),
        ("Viro", "EE"),
        ("Eesti", "EE"),
        ("Tyskland", "DE"),
        ("Norsunluurannikko", "CI"),
        ("Guinea-Bissau", "GW"),
        ("Yhdysvallat", "US"),
    ],
)
def test_a_country_is_known_in_finnish_swedish_and_english(text: str, code: str) -> None:
    assert normalise_country(text) == Value(code)


def test_every_country_is_known_by_its_code_and_english_name() -> None:
    countries = list(pycountry.countries)
    for texts in ([country.name for country in countries], [country.alpha_2 for country in countries]):
        found = normalise_countries(pd.Series(texts, dtype="str"))
        assert list(found.values) == [country.alpha_2 for country in countries]


@pytest.mark.parametrize("text", ["Suomi/Ruotsi", "Suomi/Narnia", "Narnia", "246", "F1"])
def test_no_country_is_guessed(text: str) -> None:
    assert normalise_country(text) == Value(None, "country_unknown")


@pytest.mark.parametrize(
    ("text", "country", "code"),
    [
        ("100", "FI", "00100"),
        ("00100", "FI", "00100"),
        ("FI-40100", "FI", "40100"),
        ("fi 40100", "FI", "40100"),
        ("100", "SE", "100"),
        ("114 55", "SE", "114 55"),
        ("sw1a 1aa", "GB", "SW1A 1AA"),
    ],
)
def test_leading_zeros_come_back_only_in_finland(text: str, country: str, code: str) -> None:
    assert normalise_postal_code(text, country=country) == Value(code)


@pytest.mark.parametrize(
    ("text", "country"), [("401000", "FI"), ("15100.0", "FI"), ("00000", "FI"), ("x" * 21, "SE"), ("!", "SE")]
)
def test_an_impossible_postal_code_is_refused(text: str, country: str) -> None:
    assert normalise_postal_code(text, country=country).fault == "postal_code_invalid"


def test_a_column_follows_each_rows_country_and_keeps_its_index() -> None:
    column = pd.Series(["100", "100", None, "!"], dtype="str", index=[7, 3, 3, 1])
    countries = pd.Series(["SE", None, "FI", "SE"], dtype="str", index=column.index)
    found = normalise_postal_codes(column, countries=countries)
    assert list(found.values.index) == list(found.faults.index) == [7, 3, 3, 1]
    assert list(found.values.fillna("")) == ["100", "00100", "", ""]
    assert list(found.faults.fillna("")) == ["", "", "", "postal_code_invalid"]


def test_without_countries_codes_are_finnish() -> None:
    assert list(normalise_postal_codes(pd.Series(["100"], dtype="str")).values) == ["00100"]


def test_blank_cells_are_absent() -> None:
    assert normalise_country(" ") == normalise_postal_code("-", country="FI") == ABSENT
