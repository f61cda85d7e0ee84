"""The shape that every normaliser shares: a scalar rule over one text, lifted over a column's distinct values.

A normaliser may add a vectorised way for the plain shapes; what that way leaves open, the scalar rule decides.
The rules themselves live in the module of their subject (emails, phones, dates...).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import BatchRefused
from schemas.faults import FAULTS


@dataclass(frozen=True, slots=True)
class Value:
    """One normalised value, or the code of the fault that refuses it; neither when the cell was blank."""

    value: str | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class NormalisedColumn:
    """`values` and `faults`: two `str` series indexed as the input; at most one of the two is present in a row."""

    values: pd.Series
    faults: pd.Series


ABSENT = Value(None)


def refused(code: str) -> Value:
    """The value that carries a fault of `schemas.faults.FAULTS`; KeyError for a code that nobody has explained."""
    return Value(None, FAULTS[code].code)


def normalise_column(
    column: pd.Series,
    rule: Callable[[str], Value],
    *,
    plain: Callable[[pa.Array], pa.Array] | None = None,
) -> NormalisedColumn:
    """`rule` over each distinct text of `column` (`str`; missing is absent).

    `plain` takes the distinct texts and gives the values that it is sure of, null where the rule is to decide.
    """

    texts_of = as_text(column)
    if texts_of.isna().all():
        return NormalisedColumn(texts_of.rename("value"), texts_of.rename("fault"))

    def decide(texts: pa.Array) -> pd.DataFrame:
        values = pa.nulls(len(texts), pa.large_string()) if plain is None else plain(texts)
        return settle(texts, {"value": values, "fault": pa.nulls(len(texts), pa.large_string())}, rule=_as_row(rule))

    frame = over_distinct(texts_of, decide)
    return NormalisedColumn(frame["value"], frame["fault"])


def over_distinct(column: pd.Series, decide: Callable[[pa.Array], pd.DataFrame]) -> pd.DataFrame:
    """The rows that `decide` gives for the distinct present texts, spread over `column`'s index.

    `decide` returns one row per text, in order, on a range index; a missing cell gets a row of missing values.
    """
    codes, distinct = pd.factorize(as_text(column))
    decided = decide(arrow_texts(pd.Series(distinct, dtype="str")))
    spread = decided.reindex(codes)
    spread.index = column.index
    return spread


def settle(texts: pa.Array, settled: dict[str, pa.Array], *, rule: Callable[[str], tuple[Any, ...]]) -> pd.DataFrame:
    """A frame of `settled`, where each row that is null in its first column is replaced by the rule's answer."""
    is_open = next(iter(settled.values())).is_null()
    if texts_left := texts.filter(is_open).to_pylist():
        ruled = zip(*map(rule, texts_left), strict=True)
        settled = {
            name: pc.replace_with_mask(array, is_open, pa.array(answers, type=array.type))
            for (name, array), answers in zip(settled.items(), ruled, strict=True)
        }
    return pd.DataFrame({name: _as_pandas(array) for name, array in settled.items()}, copy=False)


def as_text(column: pd.Series) -> pd.Series:
    """`column` as pandas' `str`; TypeError for numbers, whose text depends on who writes it.

    Raises BatchRefused (`unreadable_encoding`) for text that UTF-8 cannot hold, such as lone surrogates.
    """
    if column.dtype == "str":
        return column
    if column.dtype != object and not column.isna().all():
        raise TypeError(f"a column of texts is needed, not {column.dtype}: convert numbers where the file is read")
    try:
        return column.astype(object).astype("str")
    except UnicodeEncodeError:
        message = "A column holds text that UTF-8 cannot represent."
        raise BatchRefused("unreadable_encoding", message, remedy="Export the file again as UTF-8.") from None


def arrow_texts(column: pd.Series) -> pa.Array:
    """The texts of a `str` series as one Arrow array of large strings."""
    array = pa.array(column, type=pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _as_pandas(array: pa.Array) -> Any:
    return pd.array(array, dtype="str") if pa.types.is_large_string(array.type) else array.to_pandas()


def _as_row(rule: Callable[[str], Value]) -> Callable[[str], tuple[Any, ...]]:
    def row(text: str) -> tuple[str | None, str | None]:
        value = rule(text)
        return value.value, value.fault

    return row
