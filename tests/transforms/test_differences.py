"""A rule explains a difference only where it is about that row, that column and that value."""

from typing import Any
from uuid import UUID

import pytest

from pipelines.transforms.differences import (
    RULES,
    Difference,
    Known,
    Write,
    compare_row,
    explain_difference,
    is_to_go,
)
from schemas.tables import CONSENT, CONTACT, REGISTRATION, ConsentValue

TABLE = CONTACT.logical_name
NAMES = {"lastname": "New"}
OLD = {"lastname": "Old"}
BOUND = UUID(int=7)
STATES = {"waiting": "waiting", "pending": "in_transit", "claimed": "in_transit", "refused": "refused"}


def differing(wanted: Any = "New", found: Any = "Old", name: str = "lastname", table: str = TABLE) -> Difference:
    return Difference(table, "differs", {name: (wanted, found)})


def write(
    state: str, columns: dict[str, Any] | None = None, *, method: str = "patch", code: str | None = None
) -> Write:
    return Write(method, state, code, NAMES if columns is None else columns)


MISSING, LEFT_OVER = Difference(TABLE, "missing"), Difference(TABLE, "left_over")


# Comparing.


def test_a_row_as_it_should_be_differs_in_nothing() -> None:
    assert compare_row(TABLE, NAMES, {**NAMES, "contactid": "x", "firstname": "Any"}) is None


def test_a_row_is_missing_or_left_over_or_differs_by_column() -> None:
    assert compare_row(TABLE, NAMES, None) == MISSING
    assert compare_row(TABLE, None, NAMES) == LEFT_OVER
    difference = compare_row(
        TABLE, {**NAMES, "firstname": "A", "mobilephone": "1"}, {"lastname": "New", "firstname": "B"}
    )
    assert difference == Difference(TABLE, "differs", {"firstname": ("A", "B"), "mobilephone": ("1", None)})
    assert difference.told() == "differs:firstname,mobilephone"
    assert MISSING.told() == "missing"


def test_a_bound_row_is_compared_as_it_reads() -> None:
    wanted = {"msevtmgt_ContactId@odata.bind": f"/contacts({BOUND})"}
    assert compare_row(REGISTRATION.logical_name, wanted, {"_msevtmgt_contactid_value": str(BOUND)}) is None
    other = compare_row(REGISTRATION.logical_name, wanted, {"_msevtmgt_contactid_value": str(UUID(int=8))})
    assert other is not None
    assert list(other.columns) == ["msevtmgt_ContactId@odata.bind"]


def test_where_a_value_came_from_is_not_compared() -> None:
    assert compare_row(CONSENT.logical_name, {"msdynmkt_reason": "ours"}, {"msdynmkt_reason": "theirs"}) is None


# Explaining a column.


@pytest.mark.parametrize(("state", "rule"), STATES.items())
def test_the_newest_write_of_the_column_explains_it(state: str, rule: str) -> None:
    known = Known([write(state), write("acknowledged", OLD)], OLD)
    assert explain_difference(differing(), known) == rule
    assert rule in RULES


@pytest.mark.parametrize("state", [*STATES, "conflict"])
@pytest.mark.parametrize(
    "known",
    [
        lambda old: Known([write("acknowledged"), old], NAMES),
        lambda old: Known([Write(old.method, old.state, old.code, {"firstname": "New"})], OLD),
        lambda old: Known([Write(old.method, old.state, old.code, {"lastname": "Another"})], OLD),
        lambda old: Known([Write(old.method, old.state, old.code, {"lastname": None})], OLD),
    ],
    ids=["acknowledged since", "of another column", "of another value", "of a purged value"],
)
def test_an_old_or_unrelated_write_explains_nothing(state: str, known: Any) -> None:
    assert explain_difference(differing(), known(write(state))) is None


@pytest.mark.parametrize("state", ["waiting", "refused"])
def test_what_somebody_changed_since_is_not_explained_by_what_we_could_not_write(state: str) -> None:
    assert explain_difference(differing(found="Edited"), Known([write(state)], OLD)) is None


@pytest.mark.parametrize("state", ["pending", "claimed"])
def test_while_a_write_is_under_way_the_row_may_hold_anything(state: str) -> None:
    assert explain_difference(differing(found="Edited"), Known([write(state)], OLD)) == "in_transit"


@pytest.mark.parametrize(("code", "rule"), [("edited_or_gone", "human_edit"), ("412", "conflict"), (None, "conflict")])
def test_a_conflict_is_a_human_edit_where_the_row_was_seen_to_be_edited(code: str | None, rule: str) -> None:
    known = Known([write("conflict", code=code)], OLD)
    assert explain_difference(differing(found="Edited"), known) == rule


@pytest.mark.parametrize(("code", "rule"), [("held", "held"), ("address_changed", None), (None, None)])
def test_what_was_set_aside_explains_only_where_another_write_failed(code: str | None, rule: str | None) -> None:
    assert explain_difference(differing(), Known([write("superseded", code=code)], OLD)) == rule


def test_what_changed_since_the_last_plan_is_to_be_planned() -> None:
    assert explain_difference(differing(), Known([write("acknowledged", OLD)], OLD, has_changed=True)) == "not_planned"
    assert explain_difference(differing(), Known([write("acknowledged", OLD)], OLD)) is None
    edited = differing(found="Edited")
    assert explain_difference(edited, Known([write("acknowledged", OLD)], OLD, has_changed=True)) is None


def test_a_value_read_back_that_we_did_not_write_is_a_known_edit() -> None:
    edited = differing(found="Edited")
    assert explain_difference(edited, Known([write("acknowledged")], {"lastname": "Edited"})) == "human_edit"
    assert explain_difference(edited, Known([], {"lastname": "Edited"})) is None
    assert explain_difference(edited, Known([write("acknowledged")], {"lastname": "Other"})) is None


OPENED = [
    (CONTACT.logical_name, "donotbulkemail", True, False),
    (CONTACT.logical_name, "followemail", False, True),
    (CONSENT.logical_name, "msdynmkt_value", int(ConsentValue.OPTED_OUT), int(ConsentValue.OPTED_IN)),
]


@pytest.mark.parametrize(("table", "name", "shut", "opened"), OPENED)
def test_that_somebody_opened_what_should_be_shut_is_never_explained_by_their_having_done_so(
    table: str, name: str, shut: Any, opened: Any
) -> None:
    difference = differing(shut, opened, name, table)
    for code in ("edited_or_gone", None):
        assert explain_difference(difference, Known([write("conflict", {name: shut}, code=code)], {name: shut})) is None
    assert explain_difference(difference, Known([write("acknowledged", {name: shut})], {name: opened})) is None
    closed = differing(opened, shut, name, table)
    known = Known([write("conflict", {name: opened}, code="edited_or_gone")], {name: opened})
    assert explain_difference(closed, known) == "human_edit"


def test_each_column_of_a_difference_has_to_be_explained() -> None:
    both = Difference(TABLE, "differs", {"lastname": ("New", "Old"), "firstname": ("A", "B")})
    before = {"lastname": "Old", "firstname": "B"}
    refused, waiting = write("refused"), write("waiting", {"firstname": "A"})
    assert explain_difference(both, Known([refused, waiting], before)) == "refused+waiting"
    assert explain_difference(both, Known([refused], before)) is None


# Explaining a whole row.


@pytest.mark.parametrize(("state", "rule"), STATES.items())
def test_a_row_is_missing_because_it_was_never_made_and_left_over_because_it_is_to_go(state: str, rule: str) -> None:
    assert explain_difference(MISSING, Known([write(state, method="upsert")])) == rule
    assert explain_difference(LEFT_OVER, Known([write(state, {}, method="delete")], OLD)) == rule


@pytest.mark.parametrize("state", [*STATES, "acknowledged"])
def test_a_row_that_was_there_is_not_missing_because_of_a_write_that_failed(state: str) -> None:
    assert explain_difference(MISSING, Known([write(state, method="upsert")], OLD)) is None
    assert explain_difference(MISSING, Known([write(state, method="patch")])) is None
    assert explain_difference(LEFT_OVER, Known([write(state, method="patch")], OLD)) is None
    assert explain_difference(LEFT_OVER, Known([write("acknowledged"), write(state, {}, method="delete")], OLD)) is None


def test_a_row_that_was_to_be_made_and_opened_is_missing_because_it_was_not_made() -> None:
    assert explain_difference(MISSING, Known([write("waiting"), write("refused", method="upsert")])) == "refused"
    assert explain_difference(MISSING, Known([write("acknowledged"), write("refused", method="upsert")])) is None


def test_a_row_that_was_seen_to_be_gone_is_missing_by_a_human_act() -> None:
    assert explain_difference(MISSING, Known([write("conflict", code="edited_or_gone")], OLD)) == "human_edit"
    assert explain_difference(LEFT_OVER, Known([write("conflict", code="edited_or_gone")], OLD)) is None
    assert explain_difference(MISSING, Known([write("conflict", code="412")], OLD)) is None


def test_the_allow_list_explains_what_is_not_written_of_others_and_nothing_open_or_gone() -> None:
    assert explain_difference(LEFT_OVER, Known([], OLD, is_allowed=False)) == "allow_list"
    assert explain_difference(MISSING, Known([], None, is_allowed=False)) == "allow_list"
    assert explain_difference(MISSING, Known([], OLD, is_allowed=False)) is None
    written = Known([write("acknowledged", OLD)], OLD, is_allowed=False)
    assert explain_difference(differing(), written) == "allow_list"
    assert explain_difference(differing(found="Edited"), written) is None
    opened = Difference(TABLE, "differs", {"donotbulkemail": (True, False)})
    assert explain_difference(opened, Known([], {"donotbulkemail": False}, is_allowed=False)) is None


def test_only_what_is_to_be_cleared_or_deleted_is_to_go() -> None:
    assert is_to_go(LEFT_OVER) and not is_to_go(MISSING)
    assert is_to_go(Difference(TABLE, "differs", {"firstname": (None, "A")}))
    assert not is_to_go(Difference(TABLE, "differs", {"firstname": (None, "A"), "lastname": ("B", "C")}))


def test_what_changed_since_the_last_plan_explains_rows_to_be_made_and_to_go() -> None:
    assert explain_difference(MISSING, Known(has_changed=True)) == "not_planned"
    assert explain_difference(LEFT_OVER, Known([], OLD, has_changed=True)) == "not_planned"
    assert explain_difference(MISSING, Known([], OLD, has_changed=True)) is None
    assert explain_difference(LEFT_OVER, Known([], None, has_changed=True)) is None
