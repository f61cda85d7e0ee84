"""The rules of the gate: which are asked of a feed's batches, and how one came out."""

from dataclasses import dataclass
from typing import Any

from schemas.mappings import Mapping, SubmissionKind

MAX_UNREADABLE_SHARE = 0.25
MIN_ROWS_FOR_SHARES = 20
VOLUME_FACTOR = 20
MIN_VOLUME = 1000
STATUSES = ["active", "waitlisted", "cancelled", "deleted"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation: its type in the library's words, the column (None: the table) and its bounds."""

    expectation: str
    column: str | None
    bounds: dict[str, Any]

    @property
    def is_share(self) -> bool:
        """Whether it is about how many of a batch's rows: what one batch misses, others beside it can hide."""
        return "mostly" in self.bounds or self.expectation == "ExpectColumnMeanToBeBetween"

    @property
    def name(self) -> str:
        """What the rule is called in reports."""
        return self.expectation if self.column is None else f"{self.expectation}:{self.column}"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """How one rule came out: `could_not_run` is neither passed nor failed, and stops the batch all the same."""

    name: str
    passed: bool
    could_not_run: bool
    counts: dict[str, float]


def suite_for(mapping: Mapping, *, rows: int, median_rows: float | None) -> list[Rule]:
    """The rules of a feed, by its kind and source."""
    rules = [
        Rule("ExpectColumnValuesToBeUnique", "row_no", {}),
        Rule("ExpectColumnValuesToNotBeNull", "submission_id", {}),
        Rule("ExpectColumnValuesToNotBeNull", "content_hash", {}),
        Rule("ExpectColumnValuesToMatchRegex", "phone", {"regex": r"^\+[1-9]\d{5,14}$"}),
        Rule("ExpectColumnValuesToMatchRegex", "address_key", {"regex": r"^[^@\s]+@[^@\s]+$"}),
        Rule("ExpectColumnValueLengthsToBeBetween", "address", {"max_value": 100}),
        Rule("ExpectColumnValueLengthsToBeBetween", "given_name", {"max_value": 50}),
        Rule("ExpectColumnValueLengthsToBeBetween", "family_name", {"max_value": 50}),
        Rule("ExpectColumnValuesToBeInSet", "registration_status", {"value_set": STATUSES}),
    ]
    if mapping.needs_person:
        rules.append(Rule("ExpectColumnValuesToNotBeNull", "usable_address_key", {}))
    registers = mapping.kind in (SubmissionKind.COURSE_REGISTRATION, SubmissionKind.EVENT_REGISTRATION)
    # A booker who books for others registers for nothing; a row that lost its occasion is unreadable anyway.
    if registers and all(block.registers == "always" for block in mapping.arrangement.blocks):
        rules.append(Rule("ExpectColumnValuesToNotBeNull", "occasion_id", {"mostly": 0.9}))
    if rows >= MIN_ROWS_FOR_SHARES:
        rules.append(Rule("ExpectColumnMeanToBeBetween", "is_unreadable", {"max_value": MAX_UNREADABLE_SHARE}))
    if median_rows is not None:
        most = int(max(MIN_VOLUME, VOLUME_FACTOR * median_rows))
        rules.append(Rule("ExpectTableRowCountToBeBetween", None, {"max_value": most}))
    return rules
