"""Submissions that are edited: an answer that lowers counts when it was changed to; one that stays does not count again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.invariants.acts import T0, Act, Who, answer, iso, sign_up
from tests.invariants.feeds import MAPPINGS, TIME
from tests.invariants.test_acts import states
from tests.invariants.test_undo import undo
from tests.invariants.world import World

AINO = Who("aino@example.org", "aino")
DAY = timedelta(days=1)
SIGNED_UP = sign_up(1, AINO, T0 + DAY)
YES, NO = {"newsletter": "Yes"}, {"newsletter": "No"}
# T0 to the minute, and its date alone.
WRITTEN = ["2026-11-10T10:00Z", "2026-11-10"]


def version(changed: datetime, **answers: Any) -> Act:
    """One submission of T0 as it stands after a change."""
    return answer(1, AINO, T0, **answers).written(Changed=iso(changed))


def coarse(written: str, **answers: Any) -> Act:
    """The submission of T0 whose time is not written to the second."""
    return answer(1, AINO, T0, **answers).written(Time=written)


def tells_changes(world: World, **changes: Any) -> None:
    world.with_mapping("answers", changed_at={**TIME, "column": "Changed"}, **changes)


def shows_a_box(world: World) -> None:
    box = {**MAPPINGS["answers"]["consents"][0], "refuses": [], "silent": ["0"]}
    tells_changes(world, consents=[box, *MAPPINGS["answers"]["consents"][1:]])


def is_granted(world: World) -> bool:
    return states(world)["marketing", ""] == "granted"


def take(world: World, *batches: Sequence[Act]) -> None:
    """Each batch received an hour after the one before, and a run after each."""
    for hour, acts in enumerate(batches):
        world.perform(acts, at=T0 + 5 * DAY + timedelta(hours=hour))
        world.run()


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_withdrawal_by_editing_counts_when_it_was_made_in_whatever_order_it_comes(
    world: World, order: tuple[int, ...], lowering: dict[str, str]
) -> None:
    tells_changes(world)
    acts = [version(T0, **YES), SIGNED_UP, version(T0 + 2 * DAY, **lowering)]
    take(world, *[[acts[number]] for number in order])
    assert not is_granted(world)


def test_a_withdrawal_by_editing_counts_where_only_the_last_version_was_ever_seen(world: World) -> None:
    tells_changes(world)
    take(world, [version(T0 + 2 * DAY, stop="Yes"), SIGNED_UP])
    assert not is_granted(world)


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}])
@pytest.mark.parametrize("in_one_file", [True, False])
def test_an_unchanged_no_is_not_dated_anew_by_another_change(
    world: World, lowering: dict[str, str], in_one_file: bool
) -> None:
    tells_changes(world)
    versions = [version(T0, **lowering), version(T0 + 2 * DAY, **lowering)]
    take(world, *([versions] if in_one_file else [[each] for each in versions]), [SIGNED_UP])
    assert is_granted(world)


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}])
@pytest.mark.parametrize("is_newest_first", [False, True])
def test_another_version_of_an_unchanged_no_never_raises_what_was_lowered_and_lowers_nothing_again(
    world: World, lowering: dict[str, str], is_newest_first: bool
) -> None:
    tells_changes(world)
    first, then = sorted([T0, T0 + 2 * DAY], reverse=is_newest_first)
    take(world, [version(first, **lowering), SIGNED_UP])
    assert is_granted(world) is not is_newest_first, "known by its change alone, it may have been made by that change"
    take(world, [version(then, **lowering)])
    assert is_granted(world) is not is_newest_first
    take(world, [sign_up(2, AINO, T0 + 3 * DAY)])
    assert is_granted(world), "whoever signs up after the change is on again"


def test_a_yes_does_not_count_later_for_a_change_of_the_submission(world: World) -> None:
    tells_changes(world)
    take(world, [answer(2, AINO, T0 + DAY, stop="Yes")], [version(T0 + 2 * DAY, **YES)])
    assert not is_granted(world)


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}])
def test_an_answer_that_turned_into_a_no_counts_as_of_its_receipt_where_no_change_is_told(
    world: World, lowering: dict[str, str]
) -> None:
    take(world, [answer(1, AINO, T0, **YES), SIGNED_UP], [answer(1, AINO, T0, **lowering)])
    assert not is_granted(world)
    world.perform([sign_up(2, AINO, T0 + 6 * DAY)])
    world.run()
    assert is_granted(world), "whoever signs up after that is on again"


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}, {"newsletter": "0"}])
@pytest.mark.parametrize("written", WRITTEN)
def test_an_answer_that_turned_counts_as_of_its_receipt_however_coarse_the_time_it_was_sent(
    world: World, lowering: dict[str, str], written: str
) -> None:
    asked, *others = MAPPINGS["answers"]["consents"]
    world.with_mapping("answers", consents=[{**asked, "silent": ["0"]}, *others])
    take(world, [coarse(written, **YES), SIGNED_UP])
    assert is_granted(world)
    take(world, [coarse(written, **{**YES, **lowering})])
    assert not is_granted(world)
    world.perform([sign_up(2, AINO, T0 + 6 * DAY)])
    world.run()
    assert is_granted(world), "whoever signs up after that is on again"


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}])
@pytest.mark.parametrize("at", ["2026-11-10T10:00:00Z", *WRITTEN])
def test_a_yes_and_the_no_that_it_turned_into_may_come_in_one_delivery(
    world: World, lowering: dict[str, str], at: str
) -> None:
    take(world, [coarse(at, **YES), coarse(at, **lowering), SIGNED_UP])
    assert not is_granted(world)


@pytest.mark.parametrize("lowering", [NO, {"stop": "Yes"}])
def test_a_yes_that_turned_counts_as_of_its_receipt_though_two_versions_say_the_no(
    world: World, lowering: dict[str, str]
) -> None:
    turned = answer(1, AINO, T0, **lowering)
    take(world, [answer(1, AINO, T0, **YES), SIGNED_UP], [turned, turned.written(Last="Corrected")])
    assert not is_granted(world)


def test_a_yes_beside_a_prohibition_did_not_turn(world: World) -> None:
    both = answer(1, AINO, T0, **YES, stop="Yes")
    take(world, [both, both, SIGNED_UP])
    assert is_granted(world)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("first", [T0, T0 + timedelta(minutes=10)])
def test_a_change_that_is_told_dates_the_answer_however_coarse_the_time_it_was_sent(
    world: World, written: str, first: datetime
) -> None:
    tells_changes(world)
    edited = coarse(written, **NO).written(Changed=iso(first + timedelta(hours=1)))
    take(world, [coarse(written, **YES).written(Changed=iso(first)), SIGNED_UP], [edited])
    assert is_granted(world)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_no_that_is_as_it_was_counts_when_it_was_sent_however_coarsely(world: World, written: str) -> None:
    take(world, [coarse(written, **NO), SIGNED_UP], [coarse(written, **NO, training="Yes")])
    assert is_granted(world)


def test_a_no_that_is_as_it_was_counts_when_it_was_sent_where_no_change_is_told(world: World) -> None:
    take(world, [answer(1, AINO, T0, **NO), SIGNED_UP], [answer(1, AINO, T0, **NO, training="Yes")])
    assert is_granted(world)


def test_a_box_that_shows_a_present_value_lowers_each_time_it_is_ticked(world: World) -> None:
    stop = {**MAPPINGS["answers"]["consents"][-1], "states_current_value": True}
    tells_changes(world, consents=[*MAPPINGS["answers"]["consents"][:-1], stop])
    ticked, unticked = {"stop": "Yes"}, {"stop": "No"}
    take(world, [version(T0, **ticked)], [version(T0 + DAY / 2, **unticked), SIGNED_UP])
    assert is_granted(world)
    take(world, [version(T0 + 2 * DAY, **ticked)])
    assert not is_granted(world)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_box_that_is_no_longer_ticked_takes_back_what_it_gave(world: World, told: bool, in_one_file: bool) -> None:
    shows_a_box(world)
    changed = (T0, T0 + 2 * DAY) if told else (T0, T0)
    versions = [version(at, newsletter=shown) for at, shown in zip(changed, ("Yes", "0"), strict=True)]
    if in_one_file:
        take(world, [*versions, answer(2, AINO, T0 - DAY, newsletter="Yes")])
    else:
        take(world, [versions[0], SIGNED_UP], [versions[1]])
    assert not is_granted(world)


def test_a_box_that_was_never_ticked_says_nothing(world: World) -> None:
    shows_a_box(world)
    take(world, [SIGNED_UP], [version(T0 + 2 * DAY, newsletter="0")], [version(T0 + 3 * DAY, newsletter="0")])
    assert is_granted(world)
    assert world.query("select count(*) from intake.consent_event")[0][0] == 1


def test_a_box_that_was_ticked_by_an_edit_stays_so_when_an_older_version_comes(world: World) -> None:
    shows_a_box(world)
    take(world, [version(T0 + DAY, newsletter="Yes")], [version(T0, newsletter="0")])
    assert is_granted(world)


def test_a_no_that_was_misread_as_a_yes_is_not_dated_anew_once_that_is_undone(world: World) -> None:
    asked, *others = MAPPINGS["answers"]["consents"]
    world.with_mapping("answers", consents=[{**asked, "grants": ["No"], "refuses": ["Yes"]}, *others])
    take(world, [answer(1, AINO, T0, **NO), SIGNED_UP])
    ((run_id,),) = world.query("select distinct run_id from intake.reading where feed = 'answers'")
    undo(world, run_id, feeds=("answers",))
    world.with_mapping("answers")
    world.run()
    assert world.query("select count(*) from intake.consent_event where value = 'withdraw'")[0][0] == 1
    assert is_granted(world)
