"""Excel workbooks as Webropol and course systems export them. Bytes in, raw frame out.

Formulas are read as the values that were saved with them; nothing in a workbook is run or fetched.
"""

import io
import zipfile
from typing import Any

import pandas as pd
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from connectors.raw_frames import as_cell, raw_frame, refuse_too_large
from connectors.table_layout import rows_of_titles, titles_at, titles_of, without_summary
from connectors.text_encoding import cut_short
from schemas.errors import BatchRefused
from schemas.mappings import FileShape

MAX_UNZIPPED = 1 << 30
MAX_RATIO = 200
_SMALL = 1 << 20


def decode_xlsx(payload: bytes, shape: FileShape) -> pd.DataFrame:
    """The raw frame of one sheet: the one that the mapping names, or the first.

    Raises BatchRefused: `cut_short`, `zip_bomb`, `unreadable_table`, `unknown_sheet`, `too_large`.
    """
    refuse_unsound_zip(payload)
    sheet = _sheet(payload, shape.sheet)
    refuse_too_large(sheet.total_height, sheet.total_width)
    rows = sheet.to_python(skip_empty_area=False)
    at = titles_at(([as_cell(cell) or "" for cell in row] for row in rows), shape)
    below = at + rows_of_titles(shape.layout)
    titles = titles_of([[as_cell(cell) or "" for cell in row] for row in rows[at:below]], shape.layout)
    if not any(titles):
        raise _unreadable("it has no row of titles")
    return without_summary(_frame(titles, rows[below:]), shape.layout)


def refuse_unsound_zip(payload: bytes) -> None:
    """Raises BatchRefused: `cut_short` where the archive is not whole, `zip_bomb` where it would grow out of bounds."""
    if not payload:
        raise cut_short("The file is empty.")
    try:
        parts = zipfile.ZipFile(io.BytesIO(payload)).infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        raise cut_short("The workbook's archive is not whole.") from None
    unzipped = sum(part.file_size for part in parts)
    is_dense = any(p.file_size > _SMALL and p.file_size > MAX_RATIO * max(p.compress_size, 1) for p in parts)
    if unzipped > MAX_UNZIPPED or is_dense:
        message = f"The workbook would grow from {len(payload)} to {unzipped} bytes."
        raise BatchRefused("zip_bomb", message, remedy="Save the workbook anew, or deliver its data as CSV.")


def _sheet(payload: bytes, name: str | None) -> CalamineSheet:
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(payload))
        if name is not None and name not in workbook.sheet_names:
            remedy = "Correct file.sheet in the mapping, or name the sheet so in the workbook."
            raise BatchRefused("unknown_sheet", f"The workbook has no sheet {name!r}.", remedy=remedy)
        return workbook.get_sheet_by_name(name) if name else workbook.get_sheet_by_index(0)
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError):
        raise _unreadable("it cannot be opened") from None


def _frame(titles: list[str], rows: list[list[Any]]) -> pd.DataFrame:
    """Rows to a raw frame; columns without title that hold nothing are no columns."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in titles]
    named = [(t, c) for t, c in zip(titles, columns, strict=True) if t != "" or any(cell != "" for cell in c)]
    return raw_frame([title for title, _ in named], [column for _, column in named])


def _unreadable(what: str) -> BatchRefused:
    remedy = "Check file.type, sheet and header_row in the mapping, and save the workbook anew as .xlsx."
    return BatchRefused("unreadable_table", f"The file is no workbook that can be read: {what}.", remedy=remedy)
