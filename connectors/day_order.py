"""Dates with points whose column shows that it is month first: `1.15.2026` beside `1.4.2026`, which reads as another day.

Declared formats are day first, and so is a column of which any text can only be that (`25.3.2026`): one beside it that can
only be month first is a slip of its own, and costs no other. Where a text of a delivery's column can only be month first and
none can only be day first, nobody can tell which day the others mean whose parts can both be months: they are written with
strokes (`1/4/2026`), an order that nothing reads.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from connectors.windows import FINNISH_FORMATS, read_instant
from schemas.mappings import Mapping

_NO_MONTH = "(?:1[3-9]|2[0-9]|3[01])"
_DAY_FIRST = rf"^\s*{_NO_MONTH}\. ?[0-9]{{1,2}}\. ?[0-9]{{4}}"
_MONTH_FIRST = rf"^\s*[0-9]{{1,2}}\. ?{_NO_MONTH}\. ?[0-9]{{4}}"
_DATE = re.compile(r"\s*([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})(.*)", re.DOTALL)
_MONTHS = 12


def without_unsure_days(frame: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    """The raw frame with the dates in strokes whose order its own columns leave open; any other is as it was."""
    wanted = {" ".join(column.split()) for column in _dotted(mapping.model_dump(include=set(_TIMED)))}
    dated = [title for title in frame.columns if " ".join(str(title).split()) in wanted]
    return frame.assign(**{title: _stroked(frame[title]) for title in dated if _is_open_column(frame[title])})


_TIMED = ("submitted_at", "changed_at", "fields", "consents", "occasion", "spoken")


def _dotted(node: Any) -> Iterator[str]:
    """The columns of times that may be written with points, anywhere in a dumped mapping."""
    if isinstance(node, dict):
        if isinstance(node.get("column"), str) and not FINNISH_FORMATS.isdisjoint(node.get("formats", ())):
            yield node["column"]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _dotted(child)


def _is_open_column(column: "pd.Series[str]") -> bool:
    """Whether some text of the column is a time by its second part as the day alone, and none by its first part alone."""
    month_first = _distinct(column, _MONTH_FIRST)
    if not any(not _is_time(text) and _is_time(_turned(text)) for text in month_first):
        return False
    return not any(_is_time(text) for text in _distinct(column, _DAY_FIRST))


def _distinct(column: "pd.Series[str]", pattern: str) -> Iterable[str]:
    return column[column.str.contains(pattern, na=False)].unique()


def _stroked(column: "pd.Series[str]") -> "pd.Series[str]":
    texts = {text: _DATE.sub(r"\1/\2/\3\4", text) for text in column.dropna().unique() if _is_open_text(text)}
    return column.map(lambda text: texts.get(text, text)).astype("str")


def _is_open_text(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    first, second = int(found[1]), int(found[2])
    return first != second and max(first, second) <= _MONTHS


def _turned(text: str) -> str:
    return _DATE.sub(r"\2.\1.\3\4", text)


def _is_time(text: str) -> bool:
    return read_instant(text, ZoneInfo("UTC"), tuple(FINNISH_FORMATS)) is not None
