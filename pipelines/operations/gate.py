"""The gate: contracts on a shaped batch, in Great Expectations' words. What fails stops the batch, not its lowerings.

Row-level reasons are not made here: they come with the rows (pipelines.transforms.shape). The suites look at a batch as
a whole: its contract, ranges, uniqueness, its volume and unreadable share against the feed's own history.
The library is asked where a rule does not plainly hold (pipelines.operations.plain_rules): its import takes three seconds,
and a suite a tenth of one for however few rows. Only counts leave: `partial_unexpected_count` is 0, and of each result only
whitelisted keys are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipelines.operations.gate_rules import MIN_ROWS_FOR_SHARES, Rule, RuleResult, suite_for
from pipelines.operations.plain_rules import plain_results
from pipelines.transforms.shape import StagedBatch
from schemas.errors import BatchRefused
from schemas.mappings import Mapping

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition

COUNT_KEYS = ("element_count", "unexpected_count", "missing_count", "unexpected_percent")
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's word on one batch; `stop` is (code, reason, remedy) where it may only lower."""

    results: tuple[RuleResult, ...]
    stop: tuple[str, str, str] | None

    @classmethod
    def refused(cls, refused: BatchRefused) -> "Verdict":
        """The verdict on a batch that could not be understood at all."""
        return cls((), (refused.code, str(refused), refused.remedy))


def gate_batch(shaped: StagedBatch, mapping: Mapping, *, median_rows: float | None = None) -> Verdict:
    """Check one shaped batch; `median_rows` is the usual size of the feed's batches, None while unknown."""
    rules = suite_for(mapping, rows=len(shaped.submissions), median_rows=median_rows)
    frame = checked_frame(shaped, rules)
    results = plain_results(frame, rules) or validate(frame, rules)
    failed = [result.name for result in results if not result.passed]
    if not failed:
        return Verdict(results, None)
    reason = f"{len(failed)} of {len(results)} rules failed: {', '.join(failed)}."
    remedy = "Look at the feed's export and mapping; then run the day again, or `quarantine retry` the batch."
    return Verdict(results, ("gate_failed", reason, remedy))


def missing_shares(shaped: StagedBatch, mapping: Mapping, batch_of: "pd.Series[Any]") -> set[str]:
    """Of batches that keep to the shares together (`batch_of`: the batch of each row), those that would miss one alone; of
    fewer rows than shares are told of none.
    """
    rules = [rule for rule in suite_for(mapping, rows=MIN_ROWS_FOR_SHARES, median_rows=None) if rule.is_share]
    frame = checked_frame(shaped, rules)
    is_enough = batch_of.groupby(batch_of).size() >= MIN_ROWS_FOR_SHARES
    found: set[str] = set()
    for rule in rules:
        column = frame[str(rule.column)]
        if "mostly" in rule.bounds:
            missed = column.notna().groupby(batch_of).mean() < rule.bounds["mostly"]
        else:
            missed = column.groupby(batch_of).mean() > rule.bounds["max_value"]
        found |= set(missed.index[missed & is_enough])
    return found


def checked_frame(shaped: StagedBatch, rules: Sequence[Rule]) -> pd.DataFrame:
    """The columns that the rules look at, with `is_unreadable` per row (0 or 1)."""
    frame = shaped.submissions
    blocking = shaped.faults.loc[shaped.faults["blocks"] == "row", "row_no"]
    made = {
        "is_unreadable": frame["row_no"].isin(blocking).astype("int64"),
        "usable_address_key": frame["address_key"].where(frame["is_usable"] & ~frame["is_deleted"], "-"),
    }
    names = sorted({rule.column for rule in rules if rule.column is not None})
    return pd.DataFrame({name: made[name] if name in made else frame[name] for name in names})


def _plain(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column as the library is given it: it copies the whole frame for each rule, and Arrow's strings element by element,
    which took 16 times as long over the bare submissions (measured).
    """
    return column.astype("object") if pd.api.types.is_string_dtype(column) else column


def validate(frame: pd.DataFrame, rules: Sequence[Rule]) -> tuple[RuleResult, ...]:
    """Run the rules on a frame. A rule that raised is told apart from one that failed."""
    import great_expectations as gx
    import great_expectations.expectations as expectations

    definition = _definition()
    frame = pd.DataFrame({name: _plain(column) for name, column in frame.items()})
    suite = gx.ExpectationSuite(name="gate")
    for rule in rules:
        column = {} if rule.column is None else {"column": rule.column}
        suite.add_expectation(getattr(expectations, rule.expectation)(**column, **rule.bounds))
    outcome = definition.get_batch({"dataframe": frame}).validate(suite, result_format=RESULT_FORMAT)
    # Rules that could not run come first in the library's answer, so results are matched by name, not by position.
    found = {_key(result.expectation_config): result for result in outcome.results}
    ordered = [found[_key(expectation.configuration)] for expectation in suite.expectations]
    return tuple(_result(rule, result) for rule, result in zip(rules, ordered, strict=True))


def _key(config: Any) -> tuple[str, str | None]:
    return config.type, config.kwargs.get("column")


def _result(rule: Rule, result: Any) -> RuleResult:
    raised = _raised(result.exception_info)
    counts = {key: float(result.result[key]) for key in COUNT_KEYS if result.result.get(key) is not None}
    return RuleResult(rule.name, bool(result.success) and not raised, raised, counts)


def _raised(info: dict[str, Any] | None) -> bool:
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(_raised(part) for part in info.values() if isinstance(part, dict))


@cache
def _definition() -> "BatchDefinition":
    """One in-memory context per process; importing the library takes seconds, so it waits until it is needed."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    return (
        context.data_sources.add_pandas("staged")
        .add_dataframe_asset("batch")
        .add_batch_definition_whole_dataframe("all")
    )
