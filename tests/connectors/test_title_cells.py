"""A row of answers where titles should stand is told from titles, and honest titles are not taken for answers."""

import pytest

from connectors.table_layout import titles_of
from connectors.title_cells import is_answer, may_be_answer
from schemas.arrangements import TableLayout
from schemas.errors import BatchRefused

ANSWERS = [
    *("aino@example.org", " aino@example.org (work)", "mailto:aino@example.org", "Aino <aino@example.org>"),
    *("010203-1230", "Code 010203A1230, allergic", "010203–1230", "010203 - 1230", "010190x900p"),
    *(
        "+44 7700 900123",
        "07700900123",
        "(07700) 900 123",
        "07700-900-123",
        "07700-900 123",
        "+44-770090",
        "+4477009001",
    ),
]
DATES = ["12.1.2026", "1/15/2026 10.61", "2026-11-20", "2026-11-20T10:00:00+02:00", "12.1.2026 klo 9.00", "3-2-26"]
NUMBERS = [
    *("100 000 - 499 999", "1 000 000 - 2 000 000", "1234567890", "770090012"),
    *("0800-1600", "0900 - 1200", "00100-00990", "010126-3001", "311226-1200", "010203–123x"),
]
TITLES = [
    *("", "#", "Email", "E-mail (such as name@example.org)", "Do you follow @example?", "q1_1", "3.6", "15100"),
    *(
        "Seminar on 12.5.2026: which day?",
        "12.5.",
        "2024-2025",
        "Phone (+44 7700 900123)",
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


@pytest.mark.parametrize("cell", [*DATES, *NUMBERS])
def test_a_date_a_class_or_a_code_that_is_nobodys_is_a_title(cell: str) -> None:
    assert not is_answer(cell)


@pytest.mark.parametrize("cell", [*ANSWERS, *DATES, "770090012", "010203–123x"])
def test_what_looks_like_an_answer_may_be_one(cell: str) -> None:
    assert may_be_answer(cell)


@pytest.mark.parametrize("cell", TITLES)
def test_what_looks_like_no_answer_may_be_none(cell: str) -> None:
    assert not may_be_answer(cell)


LAYOUTS = [TableLayout(), TableLayout(second_row="dropped"), TableLayout(second_row="joined")]


def titles(*rows: list[str], layout: TableLayout = LAYOUTS[0], known: tuple[str, ...] = ()) -> list[str]:
    return titles_of(rows, layout, row_no=1, known=known)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cell", ANSWERS)
def test_a_row_that_holds_an_answer_is_refused(cell: str, layout: TableLayout) -> None:
    with pytest.raises(BatchRefused) as refused:
        titles(["Id", cell], ["-", "-"], layout=layout, known=("Id",))
    assert cell not in str(refused.value)


@pytest.mark.parametrize("second_row", ["dropped", "joined"])
@pytest.mark.parametrize("cell", ANSWERS)
def test_an_answer_below_the_titles_is_refused(cell: str, second_row: str) -> None:
    layout = TableLayout.model_validate({"second_row": second_row})
    with pytest.raises(BatchRefused):
        titles(["Id", "Email"], ["-", cell], layout=layout, known=("Id", "Email"))


@pytest.mark.parametrize("cell", [*DATES, *NUMBERS])
def test_a_new_title_beside_those_that_the_mapping_names_is_a_title(cell: str) -> None:
    assert titles(["Id", cell], known=("Id",)) == ["Id", cell]
    assert titles(["Id", "Day"], ["-", cell], layout=LAYOUTS[1], known=("Id",)) == ["Id", "Day"]
    assert titles(["Id", "Day"], ["-", cell], layout=LAYOUTS[2], known=("Id",)) == ["Id", f"Day:{cell}"]
    assert titles(["Id", cell]) == ["Id", cell]


@pytest.mark.parametrize("cell", [*DATES, "770090012", "010203–123x"])
def test_where_the_mapping_names_no_title_what_may_be_an_answer_is_one(cell: str) -> None:
    with pytest.raises(BatchRefused):
        titles(["7", cell, "Yes"], known=("Id", "Newsletter"))


@pytest.mark.parametrize("cell", [*ANSWERS, *DATES, *NUMBERS])
def test_a_title_that_the_mapping_names_is_no_answer(cell: str) -> None:
    assert titles([cell.replace(" ", "\u00a0")], known=(cell,)) == [cell.replace(" ", "\u00a0")]
    assert titles([cell], ["Yes"], layout=LAYOUTS[2], known=(f"{cell}:Yes",)) == [f"{cell}:Yes"]
    assert titles(["Who"], [cell], layout=LAYOUTS[2], known=(f"Who:{cell}",)) == [f"Who:{cell}"]
