"""Where a table's titles stand and what they are, for delimited text and workbooks alike; and where its rows end."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import compress, zip_longest

import pandas as pd

from connectors.title_cells import is_answer, may_be_answer
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


def titles_of(
    rows: Sequence[Sequence[str]], layout: TableLayout, *, row_no: int, known: Collection[str] = ()
) -> list[str]:
    """The titles that their one or two rows make, the first of them the file's row of that number; see
    `schemas.arrangements.TableLayout`. `known` are the titles that the mapping names.

    Raises BatchRefused (`unreadable_table`) where one of the rows is an answer: see `connectors.title_cells`. A title that
    is known is none; where not one is, what may be an answer is taken for one. A row that is to be dropped is an answer
    also where it holds an address.
    """
    upper, *lower = [list(row) for row in rows] or [[]]
    is_joined = layout.second_row == "joined" and bool(lower)
    titles = _joined(upper, lower[0]) if is_joined else upper
    named = {_one_form(title) for title in known}
    is_unknown = [_one_form(title) not in named for title in titles]
    is_told = may_be_answer if named and all(is_unknown) else is_answer
    _refuse_answers(filter(is_told, compress(upper, is_unknown)), row_no)
    for row in lower:
        _refuse_answers(filter(is_told, compress(row, is_unknown)) if is_joined else filter(is_answer, row), row_no + 1)
    if not is_joined and any("@" in cell for row in lower for cell in row):
        message = "The row below the titles, which is to be dropped, holds an address and so is an answer."
        remedy = "Set layout.second_row to none in the mapping if this export has no second row of titles."
        raise BatchRefused("unreadable_table", message, remedy=remedy)
    return titles


def _refuse_answers(answers: Iterator[str], row_no: int) -> None:
    if any(True for _ in answers):
        message = (
            f"Row {row_no} of the file, in which the mapping has the titles, is an answer: a cell of it holds an address, a"
            " telephone number, a date or an identity code."
        )
        remedy = (
            "Correct header_row in the mapping (or give layout.found_by and layout.second_row). If the cell is a title,"
            " name it in the mapping, under ignored if nothing reads it. Then replay the batch."
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


def _one_form(title: str) -> str:
    """A title as titles are compared: exports put no-break and double spaces into them."""
    return " ".join(unicodedata.normalize("NFC", title).split())


def _text(title: str) -> str:
    return title if title.strip() else ""


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
