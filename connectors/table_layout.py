"""Where a table's titles stand and what they are, for delimited text and workbooks alike; and where its rows end."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import pandas as pd

from connectors.title_cells import is_answer
from schemas.arrangements import TableLayout
from schemas.errors import BatchRefused
from schemas.mappings import FileShape

# Exports put a dozen lines above their titles at most.
LAST_TITLE_ROW = 50


def titles_at(rows: Iterable[Sequence[str]], shape: FileShape) -> int:
    """The place (from 0) of the row of titles among the first rows. Raises BatchRefused (`unreadable_table`)."""
    wanted = shape.layout.found_by
    if not wanted:
        return shape.header_row - 1
    for place, cells in zip(range(LAST_TITLE_ROW), rows, strict=False):
        if _holds(cells, wanted):
            return place
    message = f"The file has no row of titles among its first {LAST_TITLE_ROW} rows."
    raise BatchRefused("unreadable_table", message, remedy="Check layout.found_by in the mapping against the export.")


def rows_of_titles(layout: TableLayout) -> int:
    """How many rows the titles take."""
    return 1 if layout.second_row == "none" else 2


def titles_of(rows: Sequence[Sequence[str]], layout: TableLayout, *, row_no: int) -> list[str]:
    """The titles that their one or two rows make, the first of them the file's row of that number; see
    `schemas.arrangements.TableLayout`.

    Raises BatchRefused (`unreadable_table`) where one of the rows is an answer: see `connectors.title_cells`. One that is to
    be dropped is where it holds an address.
    """
    upper, *lower = [list(row) for row in rows] or [[]]
    _refuse_answers(upper, row_no)
    for place, row in enumerate(lower, 1):
        _refuse_answers(row, row_no + place, may_be_date=True)
    if layout.second_row == "joined" and lower:
        return _joined(upper, lower[0])
    if any("@" in cell for row in lower for cell in row):
        message = "The row below the titles, which is to be dropped, holds an address and so is an answer."
        remedy = "Set layout.second_row to none in the mapping if this export has no second row of titles."
        raise BatchRefused("unreadable_table", message, remedy=remedy)
    return upper


def _refuse_answers(cells: Sequence[str], row_no: int, *, may_be_date: bool = False) -> None:
    if any(is_answer(cell, may_be_date=may_be_date) for cell in cells):
        message = (
            f"Row {row_no} of the file, in which the mapping has the titles, is an answer: a cell of it holds an address, a"
            " telephone number, a date or an identity code."
        )
        remedy = (
            "Correct header_row in the mapping (or give layout.found_by and layout.second_row); then replay the batch."
        )
        raise BatchRefused("unreadable_table", message, remedy=remedy)


def _joined(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    titles, above = [], ""
    for top, below in zip_longest(map(_text, upper), map(_text, lower), fillvalue=""):
        above = top or above
        has_half = below not in ("", "-")
        titles.append(f"{above}:{below}" if has_half and above else below if has_half else top)
    return titles


def is_summary(first_cell: str, layout: TableLayout) -> bool:
    """Whether a row that begins with this cell sums up the answers above it."""
    return any(_folded(first_cell).startswith(_folded(word)) for word in layout.summary)


def without_summary(frame: pd.DataFrame, layout: TableLayout) -> pd.DataFrame:
    """The frame (blank is NA) without the rows at its end that sum up, and the blank ones among them."""
    if not layout.summary or frame.empty:
        return frame
    first = frame.bfill(axis=1).iloc[:, 0]
    end = len(frame)
    while end and (pd.isna(first.iloc[end - 1]) or is_summary(str(first.iloc[end - 1]), layout)):
        end -= 1
    return frame.iloc[:end]


def _holds(cells: Sequence[str], wanted: Sequence[str]) -> bool:
    titles = [_folded(cell) for cell in cells]
    first, *others = (_folded(text) for text in wanted)
    rest = titles[1:]
    return bool(titles) and titles[0] == first and all(_is_among(other, rest) for other in others)


def _is_among(wanted: str, titles: Sequence[str]) -> bool:
    return any(title == wanted or title.endswith(f":{wanted}") for title in titles)


def _text(title: str) -> str:
    return title if title.strip() else ""


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
