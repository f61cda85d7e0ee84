"""The shared shape of normalisers, the faults' explanations, and the value classes that leak nothing."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.store import pending_sql
from pipelines.transforms import values
from pipelines.transforms.value_classes import describe_value_class
from pipelines.transforms.values import ABSENT, Value, as_text, normalise_column, refused
from schemas.errors import BatchRefused
from schemas.faults import FAULTS
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)


def test_the_rule_is_asked_once_for_each_distinct_text() -> None:
    asked: list[str] = []

    def rule(text: str) -> Value:
        asked.append(text)
        return Value(text.upper())

    column = normalise_column(pd.Series(["a", None, "b", "a"], dtype="str", index=[9, 1, 1, 0]), rule)
    assert asked == ["a", "b"]
    assert list(column.values.index) == [9, 1, 1, 0]
    assert list(column.values.fillna("-")) == ["A", "-", "B", "A"]
    assert column.values.dtype == column.faults.dtype == "str"


@pytest.mark.parametrize("column", [pd.Series([], dtype="str"), pd.Series([None, None]), pd.Series([float("nan")])])
def test_a_column_without_texts_is_all_absent(column: pd.Series) -> None:
    found = normalise_column(column, refused)
    assert len(found.values) == len(column)
    assert found.values.isna().all()
    assert found.faults.isna().all()


def test_numbers_are_not_taken_for_text() -> None:
    with pytest.raises(TypeError):
        as_text(pd.Series([15100.0]))


def test_text_that_utf8_cannot_hold_refuses_the_batch_without_naming_it() -> None:
    with pytest.raises(BatchRefused) as refusal:
        as_text(pd.Series(["Matti \ud800"], dtype=object))
    assert refusal.value.code == "unreadable_encoding"
    assert "Matti" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_a_fault_that_nobody_explained_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        refused("no_such_fault")
    assert Value(None, None) == ABSENT


def test_every_fault_is_explained_in_sentences() -> None:
    for code, fault in FAULTS.items():
        assert fault.code == code
        assert re.fullmatch(r"[A-Z].+\.", fault.what)
        assert re.fullmatch(r"[A-Z].+\.", fault.remedy)


def test_every_fault_is_used_by_some_normaliser_or_by_the_merge() -> None:
    folder = Path(values.__file__).parent
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")]
    words = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    merged = set(re.findall(r"'(\w+)'", pending_sql.HOLD_STAFF))
    assert set(FAULTS) <= words | merged


@EXAMPLES
@given(st.text())
def test_a_value_class_is_made_of_known_words_only(text: str) -> None:
    traits = "a letter|a digit|a space|a control or format character|an @|no @"
    shape = rf"blank|text of \d+ characters? with (?:{traits})(?:, (?:{traits}))*(?: and (?:{traits}))?"
    assert re.fullmatch(shape, describe_value_class(text))


def test_a_value_class_tells_the_kinds_of_characters() -> None:
    assert describe_value_class("matti1") == "text of 6 characters with a letter, a digit and no @"
    assert describe_value_class("@") == "text of 1 character with an @"
    assert describe_value_class(" ") == "blank"


@EXAMPLES
@given(st.text("abcdefg", min_size=1), st.text("tuvxyz", min_size=1))
def test_values_of_one_class_cannot_be_told_apart(first: str, second: str) -> None:
    size = min(len(first), len(second))
    assert describe_value_class(first[:size]) == describe_value_class(second[:size])
