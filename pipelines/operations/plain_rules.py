"""Rules that plainly hold, found in whole columns and their distinct values, without the library.

Each answer is the library's own, to the last count; where one rule does not hold, or is not known here, there is none, and
the library is asked (the property test holds the two together).
https://docs.greatexpectations.io/docs/reference/learn/expectations/
"""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from pipelines.operations.gate_rules import Rule, RuleResult


def plain_results(frame: pd.DataFrame, rules: Sequence[Rule]) -> tuple[RuleResult, ...] | None:
    """The results of rules that all hold, in their order; None where one does not, or where there are no rows."""
    if frame.empty:
        return None
    results = []
    for rule in rules:
        counts = _KNOWN[rule.expectation](frame, rule) if rule.expectation in _KNOWN else None
        if counts is None:
            return None
        results.append(RuleResult(rule.name, True, False, counts))
    return tuple(results)


Counts = dict[str, float]


def _unique(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    present = frame[rule.column].dropna()
    return _all_of(frame, rule) if present.is_unique else None


def _not_null(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    rows, missing = len(frame), int(frame[rule.column].isna().sum())
    if (rows - missing) / rows < rule.bounds.get("mostly", 1):
        return None
    return {
        "element_count": float(rows),
        "unexpected_count": float(missing),
        "unexpected_percent": missing / rows * 100,
    }


def _matches(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    # As the library asks: whose engine it is decides what `$` means.
    return _of_each(frame, rule, lambda values: values.astype(str).str.contains(rule.bounds["regex"]))


def _is_short(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    return _of_each(frame, rule, lambda values: values.str.len() <= rule.bounds["max_value"])


def _in_set(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    return _of_each(frame, rule, lambda values: values.isin(rule.bounds["value_set"]))


def _mean(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    return {} if frame[rule.column].mean() <= rule.bounds["max_value"] else None


def _row_count(frame: pd.DataFrame, rule: Rule) -> Counts | None:
    return {} if len(frame) <= rule.bounds["max_value"] else None


def _of_each(frame: pd.DataFrame, rule: Rule, holds: Callable[["pd.Series[Any]"], "pd.Series[bool]"]) -> Counts | None:
    values = pd.Series(frame[rule.column].dropna().unique(), dtype="object")
    if values.empty:
        return _all_of(frame, rule)
    is_text = all(isinstance(value, str) for value in values)
    return _all_of(frame, rule) if is_text and bool(holds(values).all()) else None


def _all_of(frame: pd.DataFrame, rule: Rule) -> Counts:
    missing = float(frame[rule.column].isna().sum())
    counts = {"element_count": float(len(frame)), "unexpected_count": 0.0, "missing_count": missing}
    return counts if missing == len(frame) else {**counts, "unexpected_percent": 0.0}


_KNOWN: dict[str, Callable[[pd.DataFrame, Rule], Counts | None]] = {
    "ExpectColumnValuesToBeUnique": _unique,
    "ExpectColumnValuesToNotBeNull": _not_null,
    "ExpectColumnValuesToMatchRegex": _matches,
    "ExpectColumnValueLengthsToBeBetween": _is_short,
    "ExpectColumnValuesToBeInSet": _in_set,
    "ExpectColumnMeanToBeBetween": _mean,
    "ExpectTableRowCountToBeBetween": _row_count,
}
