"""Reading the mapped cells of a batch: a column or a constant for every row, and the faults found on the way.

What a value means is decided by the normalisers; here is only where it comes from and how its faults are written down.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from pipelines.transforms.dates import normalise_timestamps
from pipelines.transforms.value_classes import describe_value_class
from schemas.errors import MappingError
from schemas.mappings import ChoiceRef, ColumnRef, TimeRef
from schemas.records import FAULT_COLUMNS

BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest and latest instant that a time may mean (UTC; NaT = unknown), and whether it was unreadable."""

    earliest: pd.Series
    latest: pd.Series
    is_unreadable: pd.Series


@dataclass(frozen=True, slots=True)
class Reading:
    """One batch being read: `cells` (mapped columns, `str`), `received_at` by row, and the faults found so far."""

    cells: pd.DataFrame
    received_at: pd.Series
    faults: list[pd.DataFrame] = field(default_factory=list)

    @property
    def index(self) -> pd.Index:
        return self.cells.index

    def texts(self, ref: ColumnRef | None) -> pd.Series:
        """The cells of a column, a constant for every row, or nothing at all (NA)."""
        if ref is not None and ref.column is not None:
            return self.cells[ref.column]
        return self.repeated(None if ref is None else ref.constant)

    def column(self, name: str) -> pd.Series:
        """The cells of the column with this title."""
        return self.cells[name]

    def repeated(self, text: str | None) -> pd.Series:
        """The same text for every row."""
        return pd.Series(text, index=self.index, dtype="str")

    def never(self) -> pd.Series:
        """False for every row."""
        return pd.Series(False, index=self.index)

    def note(self, name: str, ref: ColumnRef | str | None, codes: pd.Series, *, blocks: str) -> None:
        """Write down a fault for each row in which `codes` (`str`, a code of `schemas.faults`) is present.

        `name` is our field, `ref` where the value came from; the value itself is only described.
        """
        is_found = codes.notna()
        if not is_found.any():
            return
        found = codes[is_found]
        title = ref if isinstance(ref, str) or ref is None else ref.column
        values = self.cells[title].loc[found.index] if title in self.cells.columns else None
        classes = BLANK if values is None else each_text(values, describe_value_class).fillna(BLANK)
        rows = {"row_no": found.index + 1, "field": name, "column": title, "fault": found, "value_class": classes}
        self.faults.append(conform(pd.DataFrame({**rows, "blocks": blocks}), FAULT_COLUMNS))

    def note_rows(self, name: str, ref: ColumnRef | str | None, code: str, *, rows: pd.Series, blocks: str) -> None:
        """As `note`, with one code for the rows of a mask."""
        if rows.any():
            self.note(name, ref, self.repeated(code).where(rows), blocks=blocks)

    def span(self, name: str, ref: TimeRef | None, *, blocks: str) -> Span:
        """The times of a mapped column or constant, its faults written down."""
        if ref is None:
            unknown = pd.Series(pd.NaT, index=self.index, dtype="datetime64[us, UTC]")
            return Span(unknown, unknown, self.never())
        formats = tuple(str(each) for each in ref.formats)
        read = normalise_timestamps(self.texts(ref), formats=formats, timezone=ref.timezone)
        self.note(name, ref, read["fault"], blocks=blocks)
        return Span(read["occurred_from"], read["occurred_to"], read["fault"].notna())

    def choice(self, name: str, ref: ChoiceRef | None, *, allowed: Iterable[str], code: str, blocks: str) -> pd.Series:
        """The mapped values of a coded column (`str`; NA = blank or unknown, the unknown written down as `code`).

        Raises MappingError where the mapping maps to a value that is not `allowed`.
        """
        if ref is None:
            return self.repeated(None)
        listed = {folded(written): value for written, value in ref.values.items()}
        if wrong := sorted(set(listed.values()) - set(allowed)):
            raise MappingError(f"{name}: {', '.join(wrong)} is none of {', '.join(sorted(allowed))}. Correct values.")
        texts = self.texts(ref).fillna("")
        chosen = each_text(texts, lambda text: listed.get(folded(text), _own_word(ref, text, allowed)))
        is_unknown = chosen.isna() & (texts.str.strip() != "")
        self.note_rows(name, ref, code, rows=is_unknown, blocks=blocks)
        return chosen

    def found_faults(self) -> pd.DataFrame:
        """All faults so far, in the order of the rows."""
        found = pd.concat(self.faults, ignore_index=True) if self.faults else conform(pd.DataFrame(), FAULT_COLUMNS)
        return found.sort_values("row_no", kind="stable", ignore_index=True)


def folded(text: str) -> str:
    """A written form as it is compared: NFC, case folded, blanks collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def each_text(texts: pd.Series, rule: Callable[[str], str | None]) -> pd.Series:
    """`rule` over the distinct present texts of a `str` series, spread over its index; NA stays NA."""
    codes, distinct = pd.factorize(texts)
    ruled = pd.array([rule(text) for text in distinct], dtype="str")
    return pd.Series(ruled.take(codes, allow_fill=True), index=texts.index, name=texts.name)


def conform(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The frame with exactly the declared columns and dtypes, missing ones empty."""
    if frame.empty:
        return _without_rows(tuple(columns.items())).copy()
    wanted = frame.reindex(columns=list(columns))
    has = dict(zip(wanted.columns, map(str, wanted.dtypes), strict=True))
    other = {name: dtype for name, dtype in columns.items() if has[name] != dtype}
    return wanted.astype(other) if other else wanted


@cache
def _without_rows(columns: tuple[tuple[str, str], ...]) -> pd.DataFrame:
    return pd.DataFrame(columns=[name for name, _ in columns]).astype(dict(columns))


def _own_word(ref: ChoiceRef, text: str, allowed: Iterable[str]) -> str | None:
    """A constant may be one of our own words without a list of written forms."""
    return text if ref.constant is not None and text in allowed else None
