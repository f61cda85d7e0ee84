"""Delimited text files as Webropol, Drupal and spreadsheet programs export them. Bytes in, raw frame out.

Whole means: ends with a line feed, closes its quotes, and has as many cells in each row as there are titles. So no cut
within a row passes; a cut exactly between two rows shows only in a manifest (connectors.files).
"""

import csv
import io

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from connectors.raw_frames import MAX_COLUMNS, refuse_too_large, unique_titles, without_blank_rows
from connectors.text_encoding import cut_short, decode_text
from schemas.errors import BatchRefused
from schemas.mappings import FileShape

_LONGEST_RECORD = 32 << 20


def decode_csv(payload: bytes, shape: FileShape) -> pd.DataFrame:
    """The raw frame. Raises BatchRefused: `cut_short`, `ragged_rows`, `unreadable_table`, `too_large`, and those of
    `connectors.text_encoding.decode_text`.
    """
    text = decode_text(payload)
    refuse_cut_text(text)
    table = _from_header(text, shape.header_row)
    titles = _titles(table, shape.delimiter)
    frame = _parsed(table, len(titles), shape.delimiter)
    frame.columns = unique_titles(titles)
    refuse_too_large(len(frame), len(titles))
    return without_blank_rows(frame)


def refuse_cut_text(text: str) -> None:
    """Raises BatchRefused (`cut_short`) for text that does not end a line or leaves a quotation open."""
    if not text.endswith("\n"):
        raise cut_short("The file does not end with the end of a line.")
    if text.count('"') % 2:
        raise cut_short("The file ends within a quoted cell.")


def _from_header(text: str, header_row: int) -> str:
    """The text from its `header_row`-th line on; what exports put above their titles are plain lines."""
    return text.split("\n", header_row - 1)[-1]


def _titles(text: str, delimiter: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        titles = next((row for row in reader if row), [])
    except csv.Error:
        raise _unreadable("the row of titles cannot be read") from None
    refuse_too_large(0, len(titles))
    if not any(titles):
        raise _unreadable("it has no row of titles")
    return titles


def _parsed(text: str, width: int, delimiter: str) -> pd.DataFrame:
    ragged: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row.actual_columns)
        return "skip"

    try:
        table = _read(
            text.encode(),
            width,
            pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
        )
    except pa.ArrowInvalid:
        raise _unreadable("its rows cannot be told apart") from None
    if ragged:
        raise _ragged(ragged, width)
    return table.to_pandas().astype("str").iloc[1:].reset_index(drop=True)


def _read(encoded: bytes, width: int, parsing: pyarrow.csv.ParseOptions) -> pa.Table:
    """All cells as text; the titles are the first row, for repeated titles would be lost as names of columns."""
    block = min(max(len(encoded), 1 << 20), _LONGEST_RECORD)
    reading = pyarrow.csv.ReadOptions(autogenerate_column_names=True, block_size=block)
    converting = pyarrow.csv.ConvertOptions(
        column_types={f"f{number}": pa.large_string() for number in range(min(width, MAX_COLUMNS))},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    return pyarrow.csv.read_csv(io.BytesIO(encoded), reading, parsing, converting)


def _ragged(found: list[int], width: int) -> BatchRefused:
    if min(found) < width:
        return cut_short(f"{len(found)} rows have fewer cells than the {width} titles.")
    message = f"{len(found)} rows have more cells than the {width} titles."
    remedy = "Check the delimiter in the mapping, and that cells which contain it are quoted; export the file again."
    return BatchRefused("ragged_rows", message, remedy=remedy)


def _unreadable(what: str) -> BatchRefused:
    message = f"The file is no table of delimited text: {what}."
    return BatchRefused("unreadable_table", message, remedy="Check file.type, delimiter and header_row in the mapping.")
