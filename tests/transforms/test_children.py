"""Children: who is too young when submitting is marketed to by no form, and the age is kept nowhere."""

from typing import Any

import pandas as pd
import pytest

from pipelines.transforms.shape import shape_batch
from schemas.mappings import Mapping
from tests.feeds import RECEIVED, make_consent, make_mapping, make_policy, make_raw

POLICY = make_policy()
DAY = {"column": "Born", "formats": ["iso", "fi_date"], "timezone": "Europe/Helsinki"}
# Made by the defaults of tests.feeds: the form is submitted on this day.
SUBMITTED = "2026-11-20T10:00:00+02:00"


def asking(fields: dict[str, Any], **changes: Any) -> Mapping:
    plain = make_mapping(consents=[make_consent()])
    told = plain.model_dump(mode="json", exclude_none=True)
    return Mapping.model_validate({**told, "fields": {**told["fields"], **fields}, **changes})


def values(mapping: Mapping, **cells: str | None) -> tuple[list[str], list[str]]:
    """The values decided and the rules that let something go, for one yes."""
    raw = make_raw({"Newsletter": "Yes", **cells})
    raw[mapping.submitted_at.column or ""] = SUBMITTED
    batch = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    assert not any("2013" in str(cell) for cell in batch.submissions.to_numpy().ravel())
    ruled = batch.faults[batch.faults["blocks"] == "rule"]
    return list(batch.decisions["value"]), list(ruled["fault"])


@pytest.mark.parametrize(
    ("born", "is_child"),
    [("2013-11-20", False), ("2013-11-21", True), ("21.11.2013", True), ("1980-01-01", False), ("2030-01-01", False)],
)
def test_who_is_not_yet_thirteen_on_the_day_gives_no_consent(born: str, is_child: bool) -> None:
    expected = ([], ["child"]) if is_child else (["grant"], [])
    assert values(asking({"birth_date": DAY}), Born=born) == expected


@pytest.mark.parametrize(("age", "is_child"), [("12", True), ("13", False), (" 9 ", True), ("old", False), ("", False)])
def test_a_stated_age_decides_where_there_is_no_date_of_birth(age: str, is_child: bool) -> None:
    assert values(asking({"age": {"column": "Age"}}), Age=age)[0] == ([] if is_child else ["grant"])


@pytest.mark.parametrize(("age", "gives"), [("", []), ("old", []), ("12", []), ("13", ["grant"])])
def test_on_a_childrens_form_an_unknown_age_is_a_childs(age: str, gives: list[str]) -> None:
    assert values(asking({"age": {"column": "Age"}}, for_children=True), Age=age)[0] == gives


def test_a_childrens_form_without_any_age_begins_no_marketing_and_still_takes_a_no() -> None:
    mapping = asking({}, for_children=True)
    assert values(mapping) == ([], ["child"])
    assert values(mapping, Newsletter="No") == (["withdraw"], [])


def test_a_guardians_tick_is_marked_as_such() -> None:
    mapping = asking({"age": {"column": "Age"}}, consents=[make_consent(given_by="guardian")])
    batch = shape_batch(make_raw({"Newsletter": "Yes", "Age": "13"}), mapping, received_at=RECEIVED, policy=POLICY)
    assert list(batch.decisions["actor"]) == ["guardian"]


@pytest.mark.parametrize(("fields", "cells"), [({}, {}), ({"age": {"column": "Age"}}, {"Age": ""})])
def test_a_guardians_tick_for_somebody_of_unknown_age_is_let_go(fields: dict[str, Any], cells: dict[str, str]) -> None:
    mapping = asking(fields, consents=[make_consent(given_by="guardian")])
    assert values(mapping, **cells) == ([], ["child"])
    assert values(mapping, **{**cells, "Newsletter": "No"})[0] == ["withdraw"]


@pytest.mark.parametrize(
    ("cells", "for_children", "told"),
    [({"Age": "12"}, False, True), ({"Age": "13"}, True, False), ({"Age": ""}, False, None), ({"Age": ""}, True, True)],
)
def test_whether_somebody_is_a_child_goes_with_the_submission(
    cells: dict[str, str], for_children: bool, told: bool | None
) -> None:
    mapping = asking({"age": {"column": "Age"}}, for_children=for_children)
    batch = shape_batch(make_raw({"Newsletter": "", **cells}), mapping, received_at=RECEIVED, policy=POLICY)
    assert [None if found is pd.NA else bool(found) for found in batch.submissions["is_child"]] == [told]
