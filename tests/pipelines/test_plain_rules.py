"""Rules that plainly hold are answered as the library answers them, and no others are."""

from typing import Any

import pandas as pd
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.operations.gate import validate
from pipelines.operations.gate_rules import STATUSES, Rule
from pipelines.operations.plain_rules import plain_results
from tests.sizes import sized

PHONES = ["+447700900123", "+4477009001234567", "040123", "+447700900123\n", ""]
ADDRESSES = ["a@example.org", "a b@example.org", "a@example.org\n", "@", "\n"]
RULES = [
    Rule("ExpectColumnValuesToBeUnique", "row_no", {}),
    Rule("ExpectColumnValuesToNotBeNull", "submission_id", {}),
    Rule("ExpectColumnValuesToMatchRegex", "phone", {"regex": r"^\+[1-9]\d{5,14}$"}),
    Rule("ExpectColumnValuesToMatchRegex", "address_key", {"regex": r"^[^@\s]+@[^@\s]+$"}),
    Rule("ExpectColumnValueLengthsToBeBetween", "given_name", {"max_value": 5}),
    Rule("ExpectColumnValuesToBeInSet", "registration_status", {"value_set": STATUSES}),
    Rule("ExpectColumnValuesToNotBeNull", "occasion_id", {"mostly": 0.6}),
    Rule("ExpectColumnMeanToBeBetween", "is_unreadable", {"max_value": 0.25}),
    Rule("ExpectTableRowCountToBeBetween", None, {"max_value": 6}),
]


def texts(*values: str) -> st.SearchStrategy[str | None]:
    """Nearly always the first, so that many frames pass whole."""
    return st.one_of(*[st.just(values[0])] * 6, st.none(), st.sampled_from(values))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "row_no": st.integers(1, 40),
            "submission_id": texts("s1", ""),
            "phone": texts(*PHONES),
            "address_key": texts(*ADDRESSES),
            "given_name": texts("Aino", "", "Aino M", "\U0001f600" * 5, "a\u0308" * 3),
            "registration_status": texts(*STATUSES, "Active", ""),
            "occasion_id": texts("LK1"),
            "is_unreadable": st.sampled_from([0, 0, 0, 0, 1]),
        }
    ),
    min_size=0,
    max_size=8,
)
FINE: dict[str, Any] = {
    "row_no": 1, "submission_id": "s1", "phone": None, "address_key": "a@example.org", "given_name": None,
    "registration_status": None, "occasion_id": "LK1", "is_unreadable": 0,
}  # fmt: skip


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """As the gate makes it: text as plain objects, numbers as numbers."""
    kinds = {name: "int64" if name in ("row_no", "is_unreadable") else "object" for name in FINE}
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in kinds.items()})


@settings(max_examples=sized(40, 3_000), deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS, rules=st.lists(st.sampled_from(RULES), min_size=1, max_size=4, unique_by=lambda rule: rule.name))
@example(rows=[FINE], rules=RULES)
@example(rows=[FINE, {**FINE, "row_no": 2}, {**FINE, "row_no": 3, "occasion_id": None}], rules=RULES)
@example(rows=[{**FINE, "phone": "+447700900123\n"}], rules=RULES)
@example(rows=[{**FINE, "address_key": "a@example.org\n"}], rules=RULES)
@example(rows=[{**FINE, "given_name": ""}], rules=RULES)
@example(rows=[], rules=RULES)
def test_what_is_plain_is_what_the_library_says(rows: list[dict[str, Any]], rules: list[Rule]) -> None:
    frame = frame_of(rows)
    plain, said = plain_results(frame, rules), validate(frame, rules)
    passes = bool(rows) and all(result.passed for result in said)
    assert plain == (said if passes else None)
    texts = [name for name, dtype in frame.dtypes.items() if dtype == "object"]
    assert plain_results(frame.astype(dict.fromkeys(texts, "str")), rules) == plain, "as a shaped batch has them"


def test_a_rule_that_is_not_known_is_the_librarys() -> None:
    rule = Rule("ExpectColumnValuesToBeNull", "phone", {})
    assert plain_results(frame_of([FINE]), [rule]) is None
    assert [result.passed for result in validate(frame_of([FINE]), [rule])] == [True]


def test_numbers_where_text_is_meant_are_the_librarys() -> None:
    frame = frame_of([FINE]).assign(given_name=pd.Series([5], dtype="object"))
    assert plain_results(frame, [Rule("ExpectColumnValueLengthsToBeBetween", "given_name", {"max_value": 5})]) is None
