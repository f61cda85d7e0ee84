"""Whether a delivery's columns are those of its mapping: what is new, renamed or gone stops the batch by name.

Titles are matched in NFC with their white space collapsed, for exports put no-break and double spaces into them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from pipelines.transforms.text import tidy
from schemas.errors import BatchRefused
from schemas.labels import LABEL_OF
from schemas.mappings import OWN_COLUMNS, Mapping


@dataclass(frozen=True, slots=True)
class FittedColumns:
    """`frame` has the mapped columns under the mapping's names; `dropped` counts the cells of ignored ones."""

    frame: pd.DataFrame
    dropped: dict[str, int]


def fit_columns(raw: pd.DataFrame, mapping: Mapping) -> FittedColumns:
    """The raw frame under the mapping's names, ignored columns dropped. Raises the BatchRefused of `misfit`."""
    if refusal := misfit(raw, mapping):
        raise refusal
    return force_columns(raw, mapping)


def force_columns(raw: pd.DataFrame, mapping: Mapping) -> FittedColumns:
    """As `fit_columns`, but what is unmapped is dropped and what is missing is blank: for lowering effects only."""
    named = under_mapped_names(raw, mapping)
    ignored = {title: int(named[title].notna().sum()) for title in mapping.ignored if title in named.columns}
    wanted = sorted(mapping.mapped_columns() | _labels(named))
    frame = named.reindex(columns=wanted)
    frame = frame.astype({column: "str" for column in wanted if frame[column].dtype != "str"})
    return FittedColumns(frame, ignored)


def misfit(raw: pd.DataFrame, mapping: Mapping) -> BatchRefused | None:
    """Why the columns are not the mapping's: `missing_column` (with the likely new title) or `unmapped_column`.

    A delivery of no rows and no columns at all fits.
    """
    if raw.empty and not len(raw.columns):
        return None
    present = set(under_mapped_names(raw, mapping).columns) - OWN_COLUMNS - _labels(raw)
    mapped = mapping.read_columns()
    unmapped = sorted(present - mapped - set(mapping.ignored))
    if missing := sorted(mapped - present - set(mapping.optional)):
        return _missing(mapping, missing, unmapped)
    if unmapped:
        remedy = "Map each of them, or name it under ignored, in the feed's mapping; then replay the batch."
        message = f"Feed {mapping.feed} brings columns that its mapping does not name: {_quoted(unmapped)}."
        return BatchRefused("unmapped_column", message, remedy=remedy)
    return None


def _missing(mapping: Mapping, missing: list[str], unmapped: list[str]) -> BatchRefused:
    hints = [f"{old!r} may now be {new[0]!r}" for old in missing if (new := get_close_matches(old, unmapped, n=1))]
    hint = f" Renamed? {'; '.join(hints)}." if hints else ""
    others = f" Not named by the mapping: {_quoted(unmapped)}." if unmapped else ""
    message = f"Feed {mapping.feed} lacks columns that its mapping reads: {_quoted(missing)}.{hint}{others}"
    return BatchRefused("missing_column", message, remedy="Correct the titles in the mapping, then replay the batch.")


def under_mapped_names(raw: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    """The raw frame with its titles as the mapping writes them, where they differ in white space or form only."""
    known = mapping.read_columns() | set(mapping.ignored)
    by_tidied = {tidy(name): name for name in sorted(known)}
    renamed = {title: name for title in raw.columns if title not in known and (name := by_tidied.get(tidy(title)))}
    free = {title: name for title, name in renamed.items() if name not in raw.columns}
    once = {title: name for title, name in free.items() if list(free.values()).count(name) == 1}
    return raw.rename(columns=once)


def _labels(frame: pd.DataFrame) -> set[str]:
    """The columns in which a pull tells how its questions are worded now."""
    return {title for title in frame.columns if str(title).startswith(LABEL_OF)}


def _quoted(titles: Iterable[str]) -> str:
    listed = list(titles)
    more = f" and {len(listed) - 10} more" if len(listed) > 10 else ""
    return ", ".join(repr(title) for title in listed[:10]) + more
