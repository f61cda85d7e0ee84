"""Excel workbooks as Webropol and course systems export them. Bytes in, raw frame out.

Formulas are read as the values that were saved with them; nothing in a workbook is run or fetched.
"""

import io
import zipfile
from collections.abc import Collection

import pandas as pd
import pyarrow as pa

from connectors.raw_frames import frame_of_texts
from connectors.table_layout import LAST_TITLE_ROW, rows_of_titles, titles_at, titles_of, without_summary
from connectors.text_encoding import cut_short
from connectors.workbooks import Sheet, read_sheet, unreadable
from schemas.errors import BatchRefused
from schemas.mappings import FileShape

ZIP = b"PK\x03\x04"
MAX_UNZIPPED = 1 << 30
MAX_RATIO = 200
_SMALL = 1 << 20


def decode_xlsx(payload: bytes, shape: FileShape, *, known: Collection[str] = ()) -> pd.DataFrame:
    """The raw frame of one sheet: the one that the mapping names, or the first; `known` are the titles that it names.

    Raises BatchRefused: `merged_cells`, and those of `refuse_unsound_zip` and `connectors.workbooks.read_sheet`.
    """
    refuse_unsound_zip(payload)
    sheet = read_sheet(payload, shape.sheet)
    at = titles_at(sheet.texts(0, LAST_TITLE_ROW), shape)
    below = at + rows_of_titles(shape.layout)
    titles = titles_of(sheet.texts(at, below - at), shape.layout, row_no=at + 1, known=known)
    if not any(titles):
        raise unreadable("it has no row of titles")
    refuse_merged(sheet, below)
    return without_summary(_frame(titles, sheet.cells.slice(below)), shape.layout)


def refuse_unsound_zip(payload: bytes) -> None:
    """Raises BatchRefused: `unreadable_table` where it is no archive at all, `cut_short` where it is not whole, `zip_bomb`
    where it would grow out of bounds."""
    if not payload:
        raise cut_short("The file is empty.")
    if len(payload) >= len(ZIP) and not payload.startswith(ZIP):
        raise no_xlsx()
    try:
        parts = zipfile.ZipFile(io.BytesIO(payload)).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise cut_short("The workbook's archive is not whole.") from None
    unzipped = sum(part.file_size for part in parts)
    is_dense = any(p.file_size > _SMALL and p.file_size > MAX_RATIO * max(p.compress_size, 1) for p in parts)
    if unzipped > MAX_UNZIPPED or is_dense:
        message = f"The workbook would grow from {len(payload)} to {unzipped} bytes."
        raise BatchRefused("zip_bomb", message, remedy="Save the workbook anew, or deliver its data as CSV.")


def no_xlsx() -> BatchRefused:
    """The refusal of a file that is another kind than a workbook of today."""
    return BatchRefused(
        "unreadable_table",
        "The file is not an .xlsx workbook: it is an older .xls, a web page under that name, or something else.",
        remedy="Open it in a spreadsheet program, and save it as .xlsx or as CSV.",
    )


def refuse_merged(sheet: Sheet, below: int) -> None:
    """Raises BatchRefused (`merged_cells`) where cells are merged in the row of that number (from 0) or a later one."""
    if any(first_row >= below for first_row, *_ in sheet.merged):
        raise BatchRefused(
            "merged_cells",
            "Cells below the titles are merged, and nobody can tell for which rows their value holds.",
            remedy="Unmerge them (each row with its own values), and save the workbook anew.",
        )


def _frame(titles: list[str], cells: pa.Table) -> pd.DataFrame:
    """Cells to a raw frame; columns without title that hold nothing are no columns."""
    named = [(t, c) for t, c in zip(titles, cells.columns, strict=True) if t != "" or c.null_count < len(c)]
    return frame_of_texts([title for title, _ in named], [column for _, column in named])
