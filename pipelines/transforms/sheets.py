"""Tables for people outside, as CSV and XLSX in which no cell can become a formula.

A cell that begins with = + - @ tab or carriage return is text: https://owasp.org/www-community/attacks/CSV_Injection.
In a workbook every cell has the type text, so that a phone number (+358...) stays as it is; a CSV has no types, and such a
cell gets an apostrophe before it.
"""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpyxl.cell import Cell

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_AS_TEXT = "@"

Row = Sequence[str | None]


def is_dangerous(text: str) -> bool:
    """Whether a spreadsheet might take the text for a formula."""
    return text.startswith(_DANGEROUS) or text.lstrip().startswith(_DANGEROUS)


def csv_table(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """UTF-8 with its mark (for spreadsheets), semicolons, every cell quoted."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([_safe(column) for column in columns])
    writer.writerows([[_safe(cell or "") for cell in row] for row in rows])
    return out.getvalue().encode("utf-8-sig")


def xlsx_table(columns: Sequence[str], rows: Sequence[Row], *, title: str) -> bytes:
    """A workbook of one sheet, every cell a text."""
    from openpyxl import Workbook  # half a second, which no other command is to wait for

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title[:31]
    for row_no, row in enumerate([columns, *rows], start=1):
        for column_no, value in enumerate(row, start=1):
            _write(sheet.cell(row_no, column_no), value or "")
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _write(cell: "Cell", text: str) -> None:
    from openpyxl.styles import Alignment

    cell.value = text
    cell.data_type = "s"
    cell.number_format = _AS_TEXT
    cell.quotePrefix = is_dangerous(text)  # type: ignore[attr-defined]
    cell.alignment = Alignment(wrap_text="\n" in text)


def _safe(text: str) -> str:
    return f"'{text}" if is_dangerous(text) else text
