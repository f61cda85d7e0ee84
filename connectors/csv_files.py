"""Delimited text files as Webropol, Drupal and spreadsheet programs export them. Bytes in, raw frame out.

Whole means: ends with a line feed, closes its quotes, and has as many cells in each row as there are titles. So no cut
within a row passes; a cut exactly between two rows shows only in a manifest (connectors.files).
"""

import csv
from collections.abc import Collection, Iterator
from itertools import islice

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from connectors.raw_frames import MAX_COLUMNS, refuse_too_large, refuse_too_sparse, unique_titles, without_blank_rows
from connectors.table_layout import (
    LAST_TITLE_ROW,
    is_summary,
    rows_of_titles,
    titles_at,
    titles_of,
    without_summary,
)
from connectors.text_encoding import as_utf8, cut_short, why_open
from schemas.errors import BatchRefused
from schemas.mappings import FileShape

# What is parsed at a time: a megabyte stays in the processor's cache, and takes half the time of the file as a whole.
_BLOCK, _LONGEST_RECORD = 1 << 20, 32 << 20
_WORTH_THREADS = 1 << 20
_MOST_CELLS = 40_000_000


def decode_csv(payload: bytes, shape: FileShape, *, known: Collection[str] = ()) -> pd.DataFrame:
    """The raw frame; `known` are the titles that the mapping names. Raises BatchRefused: `cut_short`, `ragged_rows`,
    `unreadable_table`, `too_large`, and those of `connectors.text_encoding.as_utf8`.
    """
    text = as_utf8(payload)
    refuse_cut_text(text)
    table, titles = _titled(text, shape, known)
    if len(text) > _MOST_CELLS:  # every cell takes a byte
        refuse_too_sparse(text.count(b"\n"), len(titles), most=_MOST_CELLS)
    frame = _parsed(table, len(titles), shape, is_quoted=b'"' in text)
    frame.columns = unique_titles(titles)
    refuse_too_large(len(frame), len(titles))
    return without_summary(without_blank_rows(frame), shape.layout)


def refuse_cut_text(text: bytes) -> None:
    """Raises BatchRefused (`cut_short`) for text that does not end a line or leaves a quotation open."""
    if not text.endswith(b"\n"):
        raise cut_short("The file does not end with the end of a line.")
    if reason := why_open(text):
        raise cut_short(f"The file {reason}.")


def _titled(text: bytes, shape: FileShape, known: Collection[str]) -> tuple[memoryview, list[str]]:
    """The text from its titles on, and the titles; what exports put above them are plain lines."""
    top = 0
    for _ in range(0 if shape.layout.found_by else shape.header_row - 1):
        top = text.find(b"\n", top) + 1 or top
    first = _first_records(text, top, shape)
    at = titles_at((cells for _, cells in first), shape) if shape.layout.found_by else 0
    row_no = at + 1 if shape.layout.found_by else shape.header_row
    rows = [cells for _, cells in first[at : at + rows_of_titles(shape.layout)]]
    titles = titles_of(rows, shape.layout, row_no=row_no, known=known)
    refuse_too_large(0, len(titles))
    if not any(titles):
        raise _unreadable("it has no row of titles")
    return memoryview(text)[first[at][0] :], titles


def _first_records(text: bytes, top: int, shape: FileShape) -> list[tuple[int, list[str]]]:
    wanted = LAST_TITLE_ROW + 1 if shape.layout.found_by else rows_of_titles(shape.layout)
    try:
        return list(islice(_records(text, top, shape.delimiter), wanted))
    except csv.Error:
        raise _unreadable("the row of titles cannot be read") from None


def _records(text: bytes, top: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Where each record that is not empty begins, and its cells."""
    end = top

    def lines() -> Iterator[str]:
        nonlocal end
        while end < len(text):
            start, end = end, text.find(b"\n", end) + 1 or len(text)
            yield text[start:end].decode()

    reader = csv.reader(lines(), delimiter=delimiter)
    start = top
    for cells in reader:
        if cells:
            yield start, cells
        start = end


def _parsed(text: memoryview, width: int, shape: FileShape, *, is_quoted: bool) -> pd.DataFrame:
    """A cell holds the end of a line only within quotation marks; without any, lines are told apart in parallel."""
    ragged: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        if not is_summary(row.text.partition(shape.delimiter)[0].strip('" '), shape.layout):
            ragged.append(row.actual_columns)
        return "skip"

    parsing = pyarrow.csv.ParseOptions(
        delimiter=shape.delimiter, newlines_in_values=is_quoted, invalid_row_handler=note
    )
    table = _read(text, width, parsing, block=_BLOCK)
    if table is None:
        ragged.clear()
        table = _read(text, width, parsing, block=min(max(len(text), _BLOCK), _LONGEST_RECORD))
    if table is None:
        raise _unreadable("its rows cannot be told apart")
    if ragged:
        raise _ragged(ragged, width)
    if table.num_columns != width:
        raise _unreadable("its two rows of titles are not equally long")
    return table.to_pandas().astype("str").iloc[rows_of_titles(shape.layout) :].reset_index(drop=True)


def _read(text: memoryview, width: int, parsing: pyarrow.csv.ParseOptions, *, block: int) -> pa.Table | None:
    """All cells as text; the titles are the first row, for repeated titles would be lost as names of columns.

    None where the rows cannot be told apart, or one of them is longer than a block (bytes).
    """
    reading = pyarrow.csv.ReadOptions(
        autogenerate_column_names=True, block_size=block, use_threads=len(text) > _WORTH_THREADS
    )
    converting = pyarrow.csv.ConvertOptions(
        column_types={f"f{number}": pa.large_string() for number in range(min(width, MAX_COLUMNS))},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        check_utf8=False,
    )
    try:
        return pyarrow.csv.read_csv(pa.BufferReader(pa.py_buffer(text)), reading, parsing, converting)
    except pa.ArrowInvalid:
        return None


def _ragged(found: list[int], width: int) -> BatchRefused:
    if min(found) < width:
        return cut_short(f"{len(found)} rows have fewer cells than the {width} titles.")
    message = f"{len(found)} rows have more cells than the {width} titles."
    remedy = "Check the delimiter in the mapping, and that cells which contain it are quoted; export the file again."
    return BatchRefused("ragged_rows", message, remedy=remedy)


def _unreadable(what: str) -> BatchRefused:
    message = f"The file is not a table of delimited text: {what}."
    return BatchRefused("unreadable_table", message, remedy="Check file.type, delimiter and header_row in the mapping.")
