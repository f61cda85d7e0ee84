"""A row of answers where titles should stand is told from titles, and honest titles are not taken for answers."""

import pytest

from connectors.title_cells import is_answer

ANSWERS = [
    *("aino@example.org", " aino@example.org (work)", "mailto:aino@example.org", "Aino <aino@example.org>"),
    *("010203-1230", "Code 010203A1230, allergic", "010203–123x"),
    *("12.1.2026", "1/15/2026 10.61", "2026-11-20", "2026-11-20T10:00:00+02:00", "12.1.2026 klo 9.05", "3-2-26"),
    *("+44 7700 900123", "0401234567", "(040) 123 4567", "401234567", "+3584012345"),
]
TITLES = [
    *("", "#", "Email", "E-mail (such as name@example.org)", "Do you follow @jamk?", "q1_1", "3.6", "15100"),
    *(
        "Seminar on 12.5.2026: which day?",
        "12.5.",
        "2024-2025",
        "Phone (+358 40 123 4567)",
        "1. Name",
        "Topics:12.5.2026",
    ),
    *("0-100", "Course 010203", "0725646a-cafb-4126-a4f0-0a6660b9d812", "Tax number 1234567-8"),
]


@pytest.mark.parametrize("cell", ANSWERS)
def test_an_address_a_number_a_date_or_an_identity_code_is_an_answer(cell: str) -> None:
    assert is_answer(cell)


@pytest.mark.parametrize("cell", TITLES)
def test_a_title_that_has_such_a_thing_in_its_course_is_a_title(cell: str) -> None:
    assert not is_answer(cell)


def test_the_title_of_an_option_may_be_a_date() -> None:
    assert not is_answer("12.5.2026 klo 9.00", may_be_date=True)
    assert is_answer("aino@example.org", may_be_date=True)
