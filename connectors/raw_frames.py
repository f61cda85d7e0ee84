"""The raw frame: what a delivery says, as text, under the source's own titles. Every decoder ends here.

A raw frame has only `str` columns, one row per submission in the order delivered; an empty cell is missing (NA).
A pulled delivery has one more column, `schemas.mappings.RECEIVED_AT`. What the columns mean is the mapping's affair.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import BatchRefused

MAX_ROWS = 2_000_000
MAX_COLUMNS = 2_000
# Of rows that each name their own columns: few bytes could otherwise ask for a frame of any size, nearly all blank.
MAX_SPARSE_CELLS = 20_000_000
UNTITLED = "(untitled)"


def raw_frame(titles: Sequence[str], columns: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """The raw frame of `columns` of Python values; see `frame_of_texts`."""
    return frame_of_texts(titles, map(text_cells, columns))


def frame_of_texts(titles: Sequence[str], columns: Iterable[pa.LargeStringArray | pa.ChunkedArray]) -> pd.DataFrame:
    """The raw frame of `columns` of `text_cells`; wholly blank rows are no submissions and go.

    Titles that repeat get the suffixes ` #2`, ` #3` in their order.
    """
    texts = dict(zip(unique_titles(titles), columns, strict=True))
    return without_blank_rows(pa.table(texts).to_pandas())


def text_column(values: Sequence[Any]) -> "pd.Series[str]":
    """The `text_cells` of the values, as pandas has them."""
    return pa.table({"": text_cells(values)}).to_pandas()[""].rename(None)


def text_cells(values: Sequence[Any]) -> pa.LargeStringArray:
    """The values as text, null where blank; NUL and lone surrogates, which no store takes, become U+FFFD, which value
    rules refuse."""
    texts = [value if type(value) is str else as_cell(value) for value in values]
    try:
        cells = pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        cells = pa.array([None if text is None else _encodable(text) for text in texts], pa.large_string())
    cells = pc.replace_substring(cells, "\x00", "\ufffd")
    return pc.if_else(pc.equal(cells, ""), None, cells)


def blank_to_missing(column: "pd.Series[str]") -> "pd.Series[str]":
    """The column with its empty texts missing."""
    return column.mask(column == "")


def without_blank_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that say anything, numbered anew from 0."""
    return frame.dropna(how="all").reset_index(drop=True)


def unique_titles(titles: Iterable[str]) -> list[str]:
    """The titles with ` #2`, ` #3` after those that came before, so that identical questions stay apart.

    Titles that differ in white space only are identical; one of white space alone is `UNTITLED`. A number that a title
    of its own bears already is left out.
    """
    given = list(titles)
    seen: dict[str, int] = {}
    unique: list[str] = []
    for title in given:
        folded = " ".join(title.split())
        seen[folded] = seen.get(folded, 0) + 1
        named = title if folded else UNTITLED
        unique.append(named if seen[folded] == 1 else _numbered(named, folded, seen, {*given, *unique}))
    return unique


def _numbered(title: str, folded: str, seen: dict[str, int], taken: set[str]) -> str:
    while f"{title} #{seen[folded]}" in taken:
        seen[folded] += 1
    return f"{title} #{seen[folded]}"


def as_cell(value: Any) -> str | None:
    """One value as text: whole numbers without a fraction, dates and times in ISO 8601, nested data as JSON.

    A spreadsheet reader gives every number as a float, so that a postal code arrives as 15100.0: whole floats lose
    the fraction here, before any rule looks at them.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list | tuple):
        return _written_out(value)
    return str(value) if not isinstance(value, timedelta) else str(value.total_seconds())


def _written_out(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        remedy = "Deliver the submissions as a plain list, each with its answers."
        raise BatchRefused("too_deep", "The delivery is nested too deeply to be read.", remedy=remedy) from None


def refuse_too_large(rows: int, columns: int) -> None:
    """Raises BatchRefused (`too_large`) beyond 2 million rows or 2,000 columns."""
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        message = f"The delivery has {rows} rows and {columns} columns; at most {MAX_ROWS} and {MAX_COLUMNS} are read."
        raise BatchRefused("too_large", message, remedy="Export a shorter time, or fewer questions, per file.")


def refuse_too_sparse(rows: int, columns: int, *, most: int = MAX_SPARSE_CELLS) -> None:
    """Raises BatchRefused (`too_large`) beyond so many cells."""
    if rows * columns > most:
        message = f"The delivery's {rows} rows have {columns} columns together, nearly all of them blank."
        raise BatchRefused("too_large", message, remedy="Export fewer submissions, or of one form only, per file.")


def _number(value: float) -> str | None:
    if math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _encodable(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
