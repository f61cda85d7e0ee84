"""Whoever is known as a child by any name, after an undo, a move, beside another transaction: what was given is ended."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.store.person_requests import add_request
from pipelines.operations.acts import record_acts
from pipelines.operations.corrections import apply_moves
from pipelines.operations.undo import undo_run
from schemas.consent import Actor
from schemas.errors import ActRefused
from schemas.purposes import Begin
from tests.invariants.acts import NOW, T0, Who, answer, register, sign_up
from tests.invariants.erasing import erase
from tests.invariants.feeds import MAPPINGS
from tests.invariants.model import RELATED
from tests.invariants.test_acts import make_act, states
from tests.invariants.test_children import (
    AINO,
    CHILD,
    GROWN,
    HOUR,
    LAST,
    LATER,
    MAIJA,
    SPOKEN,
    ages,
    asking,
    born,
    child,
    is_mailed,
    run,
)  # fmt: skip
from tests.invariants.test_retaining import beginning
from tests.invariants.test_retention import retained
from tests.invariants.wire import check_wire
from tests.invariants.world import World

__all__ = ["asking"]

INITIAL, NAMELESS, ANTTI = (Who(AINO.address, given) for given in ("a", "", "antti"))
ELSEWHERE = Who("other@example.org", "maija")


def ended(world: World) -> list[tuple[Any, ...]]:
    """What the import withdrew of children, with whether it counts still."""
    return [
        tuple(row)
        for row in world.query(
            "select e.purpose, v.event_key is null from intake.consent_event e left join intake.consent_void v"
            " using (event_key) where (e.actor, e.value, e.reason) = ('import', 'withdraw', 'child') order by 1, 2"
        )
    ]


# Undone.


@pytest.mark.parametrize("door", ["form", "page"])
def test_what_a_child_gave_while_misread_as_grown_ends_with_the_undo(asking: World, door: str) -> None:
    run(asking, born(CHILD))
    run(asking.at(NOW + HOUR), born(GROWN, changed_at=LATER))
    misread = asking.runs[-1]
    asking.at(NOW + 2 * HOUR)
    if door == "form":
        run(asking, sign_up(2, AINO, LAST))
    else:
        record_acts(asking.session(), None, [make_act(given_name="Aino")])
        run(asking)
    assert is_mailed(asking)
    undo_run(asking.session(), misread, by="Officer")
    assert ages(asking) == {True} and "granted" not in states(asking).values()
    run(asking.at(NOW + 3 * HOUR))
    assert not is_mailed(asking) and ended(asking) == [("marketing", True)]
    check_wire(asking)
    run(asking.at(NOW + 4 * HOUR))
    assert len(ended(asking)) == 1, "once"


def test_an_end_that_was_undone_is_made_again_where_a_child_is_told_of_again(asking: World) -> None:
    run(asking, sign_up(2, AINO, T0))
    run(asking.at(NOW + HOUR), born(CHILD))
    undo_run(asking.session(), asking.runs[-1], by="Officer")
    run(asking)
    assert is_mailed(asking)
    run(asking, born(CHILD, 5, course="LK2"))
    assert not is_mailed(asking) and ended(asking) == [("marketing", False), ("marketing", True)]


def test_a_telling_that_was_not_the_newest_stands_when_the_newest_is_undone(asking: World) -> None:
    run(asking, register(1, AINO, LATER).written(Born=GROWN))
    misread = asking.runs[-1]
    run(asking.at(NOW + HOUR), born(CHILD, 2, course="LK2"))
    assert ages(asking) == {False}
    undo_run(asking.session(), misread, by="Officer")
    assert ages(asking) == {True}


@pytest.mark.parametrize(("day", "left"), [(CHILD, True), (GROWN, None)])
def test_without_what_was_before_an_undone_telling_leaves_the_protective_state(
    asking: World, day: str, left: bool | None
) -> None:
    run(asking, born(day))
    with asking.owner.begin() as owner:
        owner.execute(sa.text("delete from intake.row_image"))
    undo_run(asking.session(), asking.runs[-1], by="Officer")
    assert ages(asking) == {left}


# By another name.


@pytest.mark.parametrize("who", [INITIAL, NAMELESS], ids=["initial", "no name"])
def test_a_childs_yes_by_a_weaker_name_is_let_go(asking: World, who: Who) -> None:
    run(child(asking), born("", 3, ELSEWHERE, course="LK2"), sign_up(2, who, LATER))
    assert not is_mailed(asking) and not asking.query("select from intake.consent_event")
    given = {"given_name": "A."} if who is INITIAL else {}
    with pytest.raises(ActRefused, match="younger than 13"):
        record_acts(asking.session(), None, [make_act(**given)])


@pytest.mark.parametrize("who", [INITIAL, NAMELESS], ids=["initial", "no name"])
def test_what_a_child_gave_by_a_weaker_name_before_is_ended(asking: World, who: Who) -> None:
    run(asking, sign_up(2, who, T0))
    assert is_mailed(asking)
    child(asking)
    assert not is_mailed(asking) and ended(asking) == [("marketing", True)]
    check_wire(asking)


def test_a_yes_without_a_name_is_ended_where_nobody_but_children_is_known(asking: World) -> None:
    run(asking, sign_up(2, NAMELESS, T0), born("", 3, ELSEWHERE))
    assert is_mailed(asking)
    run(asking, born(CHILD, course="LK2"), born(CHILD, 4, ANTTI, course="LK2"))
    assert not is_mailed(asking) and ended(asking) == [("marketing", True)]
    run(asking, born(GROWN, 5, MAIJA), sign_up(6, NAMELESS, NOW + HOUR))
    assert len(ended(asking)) == 1, "whoever reads the address may be Maija from now on"


def test_a_child_known_by_two_names_is_nobody_else_at_the_address(asking: World) -> None:
    run(child(asking), born("", 2, INITIAL, course="LK2"), sign_up(3, NAMELESS, LATER))
    assert not is_mailed(asking)
    with pytest.raises(ActRefused, match="younger than 13"):
        record_acts(asking.session(), None, [make_act()])


def test_news_of_similar_events_do_not_begin_by_another_name_of_a_child(asking: World) -> None:
    run(child(asking), born("", 2, INITIAL, course="LK2", charge="paid"))
    assert not is_mailed(asking)


@pytest.mark.parametrize("who", [AINO, NAMELESS], ids=["name", "no name"])
def test_a_child_who_was_told_of_without_a_name_is_known(asking: World, who: Who) -> None:
    run(asking, born(CHILD, who=NAMELESS))
    run(asking, sign_up(2, who, LATER))
    assert not is_mailed(asking)
    for given in ({}, {"given_name": "Aino"}):
        with pytest.raises(ActRefused, match="younger than 13"):
            record_acts(asking.session(), None, [make_act(**given)])


def test_an_initial_that_may_be_anothers_is_nobodys(asking: World) -> None:
    run(child(asking), born("", 2, ANTTI, course="LK2"), sign_up(3, INITIAL, LATER))
    assert is_mailed(asking)


def test_a_form_makes_a_child_no_older_by_a_weaker_name(asking: World) -> None:
    run(child(asking), register(2, INITIAL, LATER, course="LK2", marketing="Yes").written(Born=GROWN))
    assert not is_mailed(asking) and not asking.query("select from intake.consent_event")


def test_a_stopped_batch_makes_nobody_older(asking: World) -> None:
    run(asking, born(CHILD))
    grown = born(GROWN, changed_at=LATER)
    asking.receive("courses", [{**grown.row, "Shoe size": "43"}])
    assert asking.run().stops() == {"unmapped_column": 1}
    run(asking, sign_up(2, AINO, LAST))
    assert ages(asking) == {True} and not is_mailed(asking)


def test_who_is_old_enough_by_the_full_name_is_so_by_the_initial(asking: World) -> None:
    run(asking, born(CHILD, who=INITIAL))
    run(asking, register(2, AINO, LATER, course="LK2").written(Born=GROWN))
    run(asking, sign_up(3, INITIAL, LAST))
    assert is_mailed(asking)
    assert record_acts(asking.session(), None, [make_act(topics=("rdi",))])


def test_who_was_said_to_be_old_enough_may_begin_again_what_was_ended(asking: World) -> None:
    run(asking, sign_up(2, INITIAL, T0))
    child(asking)
    assert ended(asking)
    asking.at(NOW + HOUR)
    spoken = {"actor": Actor.STAFF_ON_BEHALF, "is_of_age": True, "evidence": SPOKEN}
    record_acts(asking.session(), None, [make_act(**spoken, occurred_at=NOW + HOUR)])
    run(asking)
    assert is_mailed(asking) and len(ended(asking)) == 1


@pytest.mark.parametrize("begins", [Begin.SALE_WITH_NOTICE, Begin.REGISTRATION_WITH_NOTICE])
def test_a_childs_yes_to_news_of_similar_events_is_ended_however_they_begin(asking: World, begins: Begin) -> None:
    asking.with_policy(beginning(asking.workspace.policy, related_events=begins))
    record_acts(asking.session(), None, [make_act(purposes=(RELATED,), given_name="Aino")])
    assert states(asking)[RELATED, ""] == "granted"
    child(asking)
    assert states(asking)[RELATED, ""] == "withdrawn" and ended(asking) == [("related_events", True)]


def test_a_child_ends_nothing_at_another_address(asking: World) -> None:
    elsewhere = Who("third@example.org", "aino")
    run(asking, sign_up(2, elsewhere, T0), sign_up(3, NAMELESS, T0), born("", 4, MAIJA), sign_up(5, MAIJA, T0))
    run(child(asking), sign_up(6, Who(elsewhere.address), LATER))
    assert is_mailed(asking, elsewhere.key) and is_mailed(asking) and not ended(asking), "whoever reads it may be Maija"


# Beside another transaction, by a mended mapping, at another address, when all is forgotten.


def waiting(world: World, number: int) -> None:
    for _ in range(200):
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        if world.query(waits)[0][0] >= number:
            return
        sleep(0.05)
    raise AssertionError("nobody waits")


def test_a_yes_beside_the_merge_that_tells_of_the_child_is_ended(asking: World) -> None:
    run(asking, born(""))
    asking.perform([born(CHILD, 2, course="LK2")])
    with ThreadPoolExecutor(2) as pool, asking.owner.connect() as owner:
        owner.execute(sa.text("select from intake.contact_point for no key update"))
        merging = pool.submit(asking.run)
        waiting(asking, 1)
        acting = pool.submit(record_acts, asking.session(), None, [make_act(given_name="Aino")])
        waiting(asking, 2)
        owner.rollback()
        merging.result(), acting.result()
    run(asking)
    assert states(asking)["marketing", ""] == "withdrawn" and not is_mailed(asking)
    check_wire(asking)


def test_a_date_of_birth_that_is_read_by_a_mended_mapping_ends_what_was_given(asking: World) -> None:
    fields = MAPPINGS["courses"]["fields"]
    mended = asking.workspace
    asking.with_mapping("courses", fields={**fields, "age": {"column": "Born"}})
    run(asking, born(CHILD), sign_up(2, AINO, T0))
    assert is_mailed(asking) and ages(asking) == {None}
    asking.workspace = mended
    run(asking, born(CHILD), born("", 3, MAIJA, course="LK2"))
    assert ages(asking) == {True, None} and not is_mailed(asking)
    assert ended(asking) == [("marketing", True)]


MOVED = Who("aino.new@example.org", "aino")


def move(world: World) -> None:
    (here,) = world.query("select contact_point_id from intake.contact_point where address_key = :key", key=AINO.key)
    with world.session().transaction() as conn:
        add_request(conn, here.contact_point_id, "move", new_address=MOVED.address)
    assert apply_moves(world.session()) == 1


def test_a_change_of_address_takes_along_that_it_is_a_childs(asking: World) -> None:
    move(child(asking))
    told = "select is_child, age_told_at, age_reading_id is null from intake.subject where given_key <> '' order by person_id"
    assert [tuple(row) for row in asking.query(told)] == [(True, T0, False), (None, None, True)]
    with pytest.raises(ActRefused, match="younger than 13"):
        record_acts(asking.session(), None, [make_act(address=MOVED.address)])
    run(asking, sign_up(2, MOVED, LATER))
    assert not is_mailed(asking, MOVED.key)


def test_a_child_who_is_known_at_the_other_address_already_is_known_as_one_there(asking: World) -> None:
    run(child(asking), sign_up(2, MOVED, LATER))
    assert is_mailed(asking, MOVED.key)
    move(asking)
    asking.run()
    assert not is_mailed(asking, MOVED.key)


def test_who_was_erased_leaves_no_age_behind_on_a_withdrawal_without_a_name(asking: World) -> None:
    run(asking, born(CHILD, who=NAMELESS), answer(2, NAMELESS, T0, newsletter="No"))
    run(asking, born("", 3, MAIJA), born("", 4, ANTTI))
    (of,) = asking.query("select person_id from intake.subject where given_key = '' and is_child")
    erase(asking, person=str(of.person_id))
    told = asking.query("select is_child, age_told_at, age_reading_id from intake.subject where given_key = ''")
    assert [tuple(row) for row in told] == [(None, None, None)]


def test_a_yes_of_a_child_is_none_when_they_are_older(asking: World) -> None:
    old = sign_up(2, AINO, LATER)
    run(child(asking), old)
    run(asking, register(3, AINO, LAST, course="LK2").written(Born=GROWN))
    run(asking, old, sign_up(4, ELSEWHERE, T0))
    assert ages(asking) == {False, None} and not is_mailed(asking)
    told = "select effects from intake.row_outcome where submission_id like '%n2%'"
    assert {tuple(row.effects) for row in asking.query(told)} == {("withheld:child",)}
    run(asking, sign_up(5, AINO, LAST))
    assert is_mailed(asking), "what they say by then is theirs"


def is_known(world: World, address: str = AINO.key) -> bool:
    return bool(world.query("select from intake.contact_point where address_key = :address", address=address))


def test_a_yes_that_was_let_go_is_known_as_long_as_it_is_delivered(asking: World) -> None:
    old = sign_up(2, AINO, LATER)

    def deliver(days: int) -> None:
        at = NOW + timedelta(days=days)
        asking.at(at).perform([old, sign_up(days, Who(f"n{days}@example.org", "maija"), T0)], at=at)
        asking.run()

    run(child(asking), old)
    deliver(899)
    retained(asking, NOW + timedelta(days=900))
    deliver(980)
    retained(asking, NOW + timedelta(days=1000))
    assert not is_known(asking), "the child is forgotten"
    deliver(1001)
    assert not is_mailed(asking) and not is_known(asking)
    groundless = "select from intake.submission where subject_id is null"
    retained(asking, NOW + timedelta(days=1090))
    assert asking.query(groundless)
    retained(asking, NOW + timedelta(days=1091))
    assert not asking.query(groundless), "it is forgotten when it comes no more"
