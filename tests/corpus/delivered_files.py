"""Files as such, and single values in them: encodings, spreadsheets, phones, addresses, names, ids (facts D1 to D4)."""

from datetime import date, datetime
from typing import Any

from tests.corpus.cases import Case, book, consent, document, feed, text


def people(fields: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "key": ["Id"],
        "submitted_at": {"column": "Time"},
        "consents": [consent("News", "yes", refuses=["no"])],
    }
    return feed(
        "web_forms",
        "mailing_list",
        fields or {"email": "Email", "given_name": "First", "family_name": "Last"},
        **{**plain, **changes},
    )


def phones(**changes: Any) -> dict[str, Any]:
    return people({"email": "Email", "phone": "Phone"}, consents=[], **changes)


HEAD = "Id;Time;Email;First;Last;News\n"
ROW = "1;2026-03-01 10:00:00;aino@example.org;Äijö;Öhman-Åkerblom;yes\n"
XLSX = {"type": "xlsx", "pattern": "*.xlsx"}
AT = datetime(2026, 3, 1, 10, 0)


def by_phone(*numbers: str) -> str:
    return "Id;Time;Email;Phone\n" + "".join(
        f"{place};2026-03-01 10:00:00;p{place}@example.org;{number}\n" for place, number in enumerate(numbers, 1)
    )


def by_address(*addresses: str) -> str:
    return HEAD + "".join(
        f'{place};2026-03-01 10:00:00;"{address}";Aino;Virtanen;yes\n' for place, address in enumerate(addresses, 1)
    )


def by_name(*names: str) -> str:
    return "Id;Time;Email;Name\n" + "".join(
        f"{place};2026-03-01 10:00:00;p{place}@example.org;{name}\n" for place, name in enumerate(names, 1)
    )


ENCODINGS: list[Case] = [
    text("utf8", "D4 strict UTF-8", people(), HEAD + ROW),
    text("cp1252", "D4 cp1252 after UTF-8 was tried", people(), HEAD + ROW, encoding="cp1252"),
    text("utf16", "D4, F7 UTF-16 with its mark", people(), HEAD + ROW, encoding="utf-16"),
    text(
        "double_encoded",
        "D4 Ã¤ and Ã¶ show a double encoding: refused",
        people(),
        HEAD + ROW.encode().decode("latin-1"),
    ),
    text("replacement_characters", "D4 U+FFFD: refused", people(), HEAD + ROW.replace("Ä", "\ufffd")),
    text("nul_characters", "F7 NUL: refused", people(), HEAD + ROW.replace("Ä", "\x00")),
    text(
        "mixed_encodings",
        "F7 bytes of two encodings make mojibake of one of them: refused",
        people(),
        HEAD + ROW.encode().decode("latin-1") + ROW,
        encoding="latin-1",
    ),
    text(
        "decomposed_letters",
        "F7 ä as a and a mark becomes one letter",
        people(),
        HEAD + "1;2026-03-01 10:00:00;aino@example.org;A\u0308ijo\u0308;O\u0308hman;yes\n",
    ),
    text(
        "right_to_left_and_emoji",
        "F7 another script passes; an emoji is no name",
        people(),
        HEAD
        + "1;2026-03-01 10:00:00;aino@example.org;محمد;العلي;yes\n2;2026-03-01 10:00:00;olavi@example.org;🎉;Öhman;yes\n",
    ),
    text("empty_file", "F6 zero bytes", people(), ""),
    text("titles_only", "F6 titles without rows: nothing was said", people(), HEAD),
    text(
        "not_closed", "F6 cut within a quoted cell", people(), HEAD + '1;2026-03-01 10:00:00;aino@example.org;"Aino\n'
    ),
    document(
        "json_deep",
        "F16 data nested deeper than any form is: one cell, not mapped, refused",
        people(file={"type": "json", "pattern": "*"}, fields={"email": {"column": "Email"}}, consents=[]),
        [
            {
                "Id": "1",
                "Time": "2026-03-01",
                "Email": "aino@example.org",
                "a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}},
            }
        ],
    ),
    document("json_of_numbers", "F7 a list of no objects", people(file={"type": "json", "pattern": "*"}), [1, 2]),
]

SHEETS: list[Case] = [
    book(
        "integers_as_floats",
        "D3 whole numbers come back as 15100.0: the fraction goes first",
        people({"email": "Email", "postal_code": "Zip"}, file=XLSX, consents=[]),
        [["Id", "Time", "Email", "Zip"], [1.0, AT, "aino@example.org", 15100.0], [2.0, AT, "olavi@example.org", 100.0]],
    ),
    book(
        "dates_in_cells",
        "D3 a true date in a cell",
        people(file=XLSX, consents=[consent("News", "yes")]),
        [
            ["Id", "Time", "Email", "First", "Last", "News"],
            [1, date(2026, 3, 1), "aino@example.org", "Aino", "Virtanen", "yes"],
        ],
    ),
    book(
        "blank_columns_and_rows",
        "D3 blank is blank, whoever wrote it",
        people(file=XLSX),
        [
            ["Id", "Time", "Email", "First", "Last", "News", None],
            [1, AT, "aino@example.org", "Aino", "Virtanen", None, None],
            [None, None, None, None, None, None, None],
            [2, AT, "olavi@example.org", "Olavi", "Öhman", "no", None],
        ],
    ),
    book(
        "another_sheet",
        "D3 the sheet is the mapping's",
        people(file={**XLSX, "sheet": "Vastaukset"}),
        [["Id", "Time", "Email", "First", "Last", "News"], [1, AT, "aino@example.org", "Aino", "Virtanen", "yes"]],
        sheet="Vastaukset",
    ),
    book(
        "sheet_not_there",
        "D3 a sheet that is not there is named",
        people(file={**XLSX, "sheet": "Vastaukset"}),
        [["Id"], [1]],
        sheet="Taul1",
    ),
    book(
        "formulas",
        "D3 a formula without a saved value is refused, for nobody knows what it says",
        people(file=XLSX),
        [["Id", "Time", "Email", "First", "Last", "News"], [1, AT, "aino@example.org", "=1+1", "Virtanen", "yes"]],
    ),
    Case(
        "web_page_named_xls.xlsx",
        "B1 the table exporter writes a web page and calls it .xls: refused",
        people(file=XLSX),
        b"<html><body><table><tr><td>Submission ID</td></tr><tr><td>1</td></tr></table></body></html>",
    ),
    Case(
        "older_workbook.xlsx",
        "B1 an older .xls: refused",
        people(file=XLSX),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64),
    ),
    Case("not_a_workbook.xlsx", "F16 bytes that are no workbook", people(file=XLSX), b"Id;Time\n1;2\n"),
]

VALUES: list[Case] = [
    text(
        "phones_of_a_spreadsheet",
        "D1 a float or exponent is a wrong number: refused before it is parsed",
        phones(),
        by_phone("0449551234.0", "4.49551234E8", "449551234"),
    ),
    text(
        "phones_no_persons",
        "D1 premium, service and emergency numbers",
        phones(),
        by_phone("0700123456", "0201234567", "112"),
    ),
    text(
        "phones_as_people_write",
        "D1 marks, brackets, (0), full width",
        phones(),
        by_phone("\u200e044 955 1234", "044 955 1234 (työ)", "+358 (0)44 955 1234", "０４４９５５１２３４"),
    ),
    text(
        "phones_two_in_a_cell",
        "D1 two numbers in one cell",
        phones(),
        by_phone("044 955 1234 / 044 955 1235", "044 955 1234 tai 044 955 1235"),
    ),
    text(
        "addresses_as_people_write",
        "D2 spaces, marks, mailto:, angle brackets, a dot at the end",
        people(),
        by_address(
            " aino@example.org ",
            "aino\u200b@example.org",
            "mailto:aino@example.org",
            "Aino Virtanen <aino@example.org>",
            "aino@example.org.",
        ),
    ),
    text(
        "addresses_kept_as_written",
        "D2 letter case and dots of the local part stay; nothing is folded for any provider",
        people(),
        by_address("Aino.Virtanen+uutiset@Example.ORG"),
    ),
    text(
        "addresses_several",
        "D2 two addresses in a cell: told",
        people(),
        by_address("aino@example.org;olavi@example.org", "aino@example.org, aino@example.org"),
    ),
    text(
        "addresses_no_ones",
        "D2 no address, or one of a function: not a person's",
        people(),
        by_address("aino@example", "aino.example.org", "info@example.org", "toimisto@example.org"),
    ),
    text(
        "addresses_idn",
        "D2 a domain with letters beyond ASCII is one with its xn-- form",
        people(),
        by_address("aino@äijö.example.org"),
    ),
    text("addresses_typing_error", "D2 a likely typing error is not mended", people(), by_address("aino@example.con")),
    text(
        "names_in_one_cell",
        "D4, B5 the order is declared; particles stay with the family name",
        people({"email": "Email", "full_name": {"column": "Name", "order": "given_family"}}, consents=[]),
        by_name("Erik af Ursin", "Virtanen, Matti", "MATTI VIRTANEN", "anna-liisa mäki"),
    ),
    text(
        "names_that_are_none",
        "D4 digits and signs are no name",
        people({"email": "Email", "full_name": {"column": "Name", "order": "given_family"}}, consents=[]),
        by_name("12345", "<script>"),
    ),
    text(
        "identity_codes_in_text",
        "D4 with a dash, a space, an en dash, a new century's mark, a wrong check character",
        people({"email": "Email", "message": "Name"}, consents=[]),
        by_name("131052-308T", "131052–308T", "131052 308T", "010594Y9021", "131052-308X"),
    ),
    text(
        "postal_codes",
        "D4 FI- before, leading zeros lost, another country's",
        people({"email": "Email", "postal_code": "Name"}, consents=[]),
        by_name("FI-40100", "100", "4010", "abc"),
    ),
    text(
        "business_ids",
        "D4 the check digit is checked; a VAT number is the same without a dash",
        people({"email": "Email", "business_id": "Name"}, consents=[]),
        by_name("2617416-4", "FI26174164", "2617416-5"),
    ),
]

CASES: list[Case] = [*ENCODINGS, *SHEETS, *VALUES]
