"""Where a table's titles stand and what they are, for delimited text and workbooks alike; and where its rows end."""

from collections.abc import Iterable, Sequence

import pandas as pd

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


def joined_titles(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """The titles that two rows make together; see `schemas.arrangements.TableLayout`."""
    width = max(len(upper), len(lower))
    titles, above = [], ""
    for top, below in zip([*upper, *[""] * (width - len(upper))], [*lower, *[""] * (width - len(lower))], strict=True):
        top, below = _text(top), _text(below)
        above = top or above
        has_half = below not in ("", "-")
        titles.append(f"{above}:{below}" if has_half and above else below if has_half else top)
    return titles


def rows_of_titles(layout: TableLayout) -> int:
    """How many rows the titles take."""
    return 1 if layout.second_row == "none" else 2


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
