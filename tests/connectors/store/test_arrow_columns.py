"""Frames to Arrow and back: same values, same dtypes, no copy of text."""

import uuid

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.store.arrow_columns import (
    columns_with_nul,
    frame_from_table,
    table_from_frame,
    texts_from_uuids,
    uuids_from_text,
)
from schemas.errors import StoreError
from schemas.records import SUBMISSION_COLUMNS


@given(st.lists(st.none() | st.uuids(), max_size=30))
def test_uuids_survive_both_ways(ids: list[uuid.UUID | None]) -> None:
    texts = pa.chunked_array([pa.array([None if i is None else str(i) for i in ids], pa.large_string())])
    packed = uuids_from_text(texts, name="id")
    assert packed.type == pa.uuid()
    assert packed.to_pylist() == ids
    assert texts_from_uuids(packed).to_pylist() == texts.to_pylist()
    assert texts_from_uuids(packed[1:]).to_pylist() == texts.to_pylist()[1:]


@pytest.mark.parametrize("wrong", ["marker@example.org", "", "1234", "g" * 32, "0" * 33])
def test_text_that_is_no_uuid_is_refused_by_column_name_only(wrong: str) -> None:
    texts = pa.chunked_array([pa.array([str(uuid.uuid4()), wrong])])
    with pytest.raises(StoreError, match="Column 'person_id'") as raised:
        uuids_from_text(texts, name="person_id")
    assert "marker" not in str(raised.value)


def test_text_goes_over_without_a_copy() -> None:
    frame = pd.DataFrame({"address": pd.Series([f"person{n}@example.org" for n in range(1000)], dtype="str")})
    held = pa.chunked_array(frame["address"].array.__arrow_array__()).chunk(0)
    sent = table_from_frame(frame).column("address").chunk(0)
    assert sent.buffers()[2].address == held.buffers()[2].address


def test_frame_of_submissions_keeps_its_declared_dtypes() -> None:
    values = {"str": ["a", None], "bool": [True, False], "boolean": [True, None], "int64": [1, 2]}
    times = pd.to_datetime(pd.Series(["2026-01-01T10:00:00Z", None]), utc=True)
    columns = {name: pd.Series(values.get(dtype, times), dtype=dtype) for name, dtype in SUBMISSION_COLUMNS.items()}
    frame = pd.DataFrame(columns)
    pd.testing.assert_frame_equal(frame_from_table(table_from_frame(frame)), frame)


def test_whole_numbers_and_truths_with_nulls_stay_what_they_are() -> None:
    table = pa.table({"n": pa.array([2**60 + 1, None]), "b": pa.array([True, None]), "i": pa.array([1, 2], pa.int32())})
    frame = frame_from_table(table)
    assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "boolean", "int64"]
    assert (frame["n"][0] == 2**60 + 1 and frame["b"][0] is True) or bool(frame["b"][0])


def test_nul_is_found_in_the_column_that_has_it() -> None:
    table = pa.table({"a": ["x"], "b": ["x\0y"], "c": pa.array([None], pa.string()), "n": [0]})
    assert columns_with_nul(table) == ["b"]
