"""Yes and no, as a mapping lists them: nothing else is an answer.

Whether an answer is a consent, a prohibition or neither, and of what, is the mapping's affair. `1`, `X` or an option's
own sentence count only where a mapping lists them, since the same export writes them for other things too.
"""

import unicodedata
from typing import Literal

import pandas as pd

from pipelines.transforms.text import damage, is_blank, tidy
from pipelines.transforms.values import ABSENT, NormalisedColumn, Value, normalise_column, refused
from schemas.errors import MappingError

YES = ("Kyllä", "Ja", "Yes", "true")
NO = ("Ei", "Nej", "No", "false")

Answer = Literal["yes", "no"]


def normalise_answer(text: str, *, yes: tuple[str, ...] = YES, no: tuple[str, ...] = NO) -> Value:
    """`yes` or `no` if `text` is listed as such, in any letter case and spacing; else `unknown_answer`.

    Blank is absent: no answer is neither. Raises MappingError when one text is listed as both.
    """
    return _answer(text, _vocabulary(yes, no))


def normalise_answers(column: pd.Series, *, yes: tuple[str, ...] = YES, no: tuple[str, ...] = NO) -> NormalisedColumn:
    """`normalise_answer` over a `str` column."""
    vocabulary = _vocabulary(yes, no)
    return normalise_column(column, lambda text: _answer(text, vocabulary))


def without_silence(column: pd.Series, silent: tuple[str, ...]) -> pd.Series:
    """The column with the answers that say nothing made blank (an unticked box that a form sends as "0")."""
    words = {_folded(word) for word in silent}
    written = column.dropna().drop_duplicates()
    return column.mask(column.isin([text for text in written if _folded(text) in words])) if words else column


def _answer(text: str, vocabulary: dict[str, Answer]) -> Value:
    if listed := vocabulary.get(_folded(text)):
        return Value(listed)
    if is_blank(tidy(text)):
        return ABSENT
    return refused(damage(text) or "unknown_answer")


def _vocabulary(yes: tuple[str, ...], no: tuple[str, ...]) -> dict[str, Answer]:
    affirmed, denied = {_folded(word) for word in yes}, {_folded(word) for word in no}
    if both := sorted(affirmed & denied):
        raise MappingError(f"Listed both as yes and as no: {', '.join(both)}. Keep each in one list.")
    if "" in affirmed | denied:
        raise MappingError("A blank cell is not an answer: remove the empty text from the lists of yes and no.")
    return {**dict.fromkeys(affirmed, "yes"), **dict.fromkeys(denied, "no")}


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
