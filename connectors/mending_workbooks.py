"""The workbook in which the owner of a form mends quarantined rows: written, and read back when it was filled in.

The first sheet is for people: what is wrong in words, and the row's cells, the bad ones coloured. A hidden one keeps
what was written, so that only what somebody changed is taken in. All cells are text: nothing is a formula
(https://owasp.org/www-community/attacks/CSV_Injection), and no number loses its leading zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from connectors.new_files import new_file
from connectors.workbooks import read_sheet
from connectors.xlsx_files import refuse_merged, refuse_unsound_zip
from schemas.errors import BatchRefused

ROWS_SHEET, KEPT_SHEET = "Rows to mend", "As exported"
REFERENCE, WRONG = "Reference", "What is wrong, and how to mend it"
_BAD = PatternFill("solid", fgColor="FFE699")
_MARK = "crm-intake quarantine 1"


@dataclass(frozen=True, slots=True)
class MendingRow:
    """One quarantined row: where it is, what is wrong in words, which titles are bad, its cells by title."""

    batch_id: UUID
    row_no: int
    wrong: str
    bad_titles: frozenset[str]
    cells: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a workbook held when it was written."""

    feed: str
    titles: list[str]
    rows: list[MendingRow]


def write_workbook(path: Path, baseline: Baseline) -> None:
    """Write the workbook, readable by its owner alone; ConfigurationError where it is there already, perhaps filled in."""
    with new_file(path) as file:
        _made(baseline).save(file)


def _made(baseline: Baseline) -> Workbook:
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet(ROWS_SHEET)
    sheet.freeze_panes = "C2"
    widths = [14, 70, *(24 for _ in baseline.titles)]
    for number, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.append([_text(sheet, title, bold=True) for title in (REFERENCE, WRONG, *baseline.titles)])
    for row in baseline.rows:
        cells = [_text(sheet, row.cells.get(title), bad=title in row.bad_titles) for title in baseline.titles]
        sheet.append([_text(sheet, _reference(row)), _text(sheet, row.wrong, wrapped=True), *cells])
    kept = workbook.create_sheet(KEPT_SHEET)
    kept.sheet_state = "hidden"
    kept.append([_text(kept, text) for text in (_MARK, baseline.feed, *baseline.titles)])
    for row in baseline.rows:
        kept.append([_text(kept, _reference(row)), None, *(_text(kept, row.cells.get(t)) for t in baseline.titles)])
    return workbook


def read_workbook(path: Path) -> tuple[Baseline, dict[tuple[UUID, int], dict[str, str | None]]]:
    """What was exported, and what the rows hold now, by batch and row. BatchRefused where it is no such workbook."""
    payload = path.read_bytes()
    refuse_unsound_zip(payload)
    kept, filled = _rows(payload, KEPT_SHEET), _rows(payload, ROWS_SHEET)
    if not kept or kept[0][:1] != [_MARK] or kept[0][1:2] in ([], [""]) or not filled or filled[0][:1] != [REFERENCE]:
        raise _stranger()
    feed, titles = kept[0][1], kept[0][2:]
    rows = [_kept_row(_place(row), _cells(titles, row[2:])) for row in kept[1:]]
    return Baseline(feed, titles, rows), {_place(row): _cells(filled[0][2:], row[2:]) for row in filled[1:] if row[0]}


def _rows(payload: bytes, name: str) -> list[list[str]]:
    try:
        sheet = read_sheet(payload, name)
    except BatchRefused as refused:
        if refused.code in ("unreadable_table", "unknown_sheet"):
            raise _stranger() from None
        raise
    refuse_merged(sheet, 1)
    return sheet.texts()


def _kept_row(place: tuple[UUID, int], cells: dict[str, str | None]) -> MendingRow:
    return MendingRow(*place, wrong="", bad_titles=frozenset(), cells=cells)


def _cells(titles: Sequence[str], row: Sequence[str]) -> dict[str, str | None]:
    return {title: value or None for title, value in zip(titles, row, strict=False) if title}


def _reference(row: MendingRow) -> str:
    return f"{row.batch_id}/{row.row_no}"


def _place(row: Sequence[str]) -> tuple[UUID, int]:
    batch, _, number = row[0].partition("/")
    try:
        return UUID(batch), int(number)
    except ValueError:
        raise _stranger() from None


def _text(
    sheet: WriteOnlyWorksheet, text: str | None, *, bold: bool = False, bad: bool = False, wrapped: bool = False
) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("\ufffd", text or ""))
    cell.data_type, cell.number_format = "s", "@"
    if bold:
        cell.font = Font(bold=True)
    if bad:
        cell.fill = _BAD
    if wrapped:
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    return cell


def _stranger() -> BatchRefused:
    message = "The file is not a workbook that `crm-intake quarantine export` wrote, or its references were changed."
    return BatchRefused("unknown_workbook", message, remedy="Export it again, and fill in that file as it is.")
