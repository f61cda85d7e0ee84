"""A plan goes into the outbox in pieces while it is made: in the end it stands there as one that was written whole."""

import gc
from typing import Any

import pytest

from connectors.store import outbox
from pipelines.operations import planning
from pipelines.operations.planning import make_plan, write_plan
from schemas.errors import StoreError
from schemas.intents import Intent, Phase
from tests.invariants.acts import T0, Act, Who, answer
from tests.invariants.histories import address_of
from tests.invariants.test_guard import LATER, approve, many, with_radius
from tests.invariants.test_plan import predicted
from tests.invariants.world import World, take_in

STATES = (
    "select phase, state, count(*) as n from intake.outbox_intent where run_id = :run and finished_at is null"
    " group by phase, state"
)
WRITTEN = "select phase, method, table_name, row_id, columns from intake.outbox_intent where run_id = :run"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "COPIED_AT_ONCE", 7)
    monkeypatch.setattr(planning, "LEAST_COPIED", 3)
    monkeypatch.setattr(outbox, "_KEPT_UNCHANGED", 1)


def subscribers(count: int) -> list[Act]:
    return [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(count)]


def planned(world: World, *, refused: tuple[str, ...] = ()) -> tuple[Any, set[tuple[bool, str]]]:
    """The plan as written now, and whether lowering with state of its open intents."""
    session = world.session()
    take_in(session)
    with session.transaction() as conn:
        plan = write_plan(session, conn, refused=refused)
    rows = world.query(STATES, run=session.run_id)
    assert sum(row.n for row in rows) == plan.size
    return plan, {(row.phase == Phase.LOWERING, row.state) for row in rows}


def test_what_was_written_before_the_plan_was_too_large_waits_like_the_rest(world: World) -> None:
    world.perform(subscribers(6))
    world.run()
    with_radius(world, 40)
    leaving = [answer(50 + n, Who(address_of(n), "aino"), LATER, stop="Yes") for n in range(3)]
    world.perform([*leaving, *many(100, 12, newsletter="Yes")])
    plan, states = planned(world)
    assert plan.waits and plan.guarded > plan.limit == 40
    assert states == {(True, "pending"), (False, "waiting")}
    assert approve(world, plan.plan_id)
    again, states = planned(world)
    assert (again.plan_id, again.waits) == (plan.plan_id, False)
    assert states == {(True, "pending"), (False, "pending")}
    writings = world.query("select writings from intake.plan where plan_id = :plan", plan=plan.plan_id)[0][0]
    written = world.query("select distinct writing from intake.outbox_intent where writing = any(:w)", w=writings)
    assert len(written) == len(writings) == 2, "each time that it was written down"


def test_what_was_written_as_approved_waits_where_another_plan_was_meant(world: World) -> None:
    with_radius(world, 5)
    world.perform(subscribers(6))
    first, _ = planned(world)
    assert approve(world, first.plan_id)
    world.perform(many(100, 6, newsletter="Yes"))
    second, states = planned(world)
    assert second.plan_id != first.plan_id and second.waits
    assert states == {(True, "pending"), (False, "waiting")}


def test_a_small_plan_is_held_where_there_are_reasons_to_refuse(world: World) -> None:
    world.perform(subscribers(2))
    plan, states = planned(world, refused=("The CRM mails whoever has no consent.",))
    assert not plan.waits and states == {(True, "pending"), (False, "waiting")}


def test_the_pieces_are_the_plan_that_was_foretold_by_the_same_name(world: World) -> None:
    world.perform(subscribers(9))
    world.run()
    world.perform([*many(3, 9, newsletter="Yes"), *(answer(80, Who(address_of(1)), LATER, stop="Yes"),)])
    foretold = predicted(world)
    session = world.session()
    take_in(session)
    with session.transaction() as conn:
        dry, plan = make_plan(session, conn), write_plan(session, conn)
    assert dry == plan and plan.size == len(foretold) > 2 * planning.COPIED_AT_ONCE
    rows = world.query(WRITTEN, run=session.run_id)
    told = sorted((r[0], r[1], r[2], str(r[3]), sorted((n, str(v)) for n, v in r[4].items())) for r in rows)
    assert told == foretold


def test_a_piece_that_cannot_be_written_leaves_none_and_what_was_open_stands(world: World) -> None:
    world.perform(subscribers(9))
    before, _ = planned(world)
    open_now = "select count(*) from intake.outbox_intent where finished_at is null"
    assert world.query(open_now)[0][0] == before.size
    with world.owner.begin() as conn:
        conn.exec_driver_sql(
            "alter table intake.outbox_intent add constraint ck_stuck check (mod(intent_id, 20) > 0) not valid"
        )
    try:
        session = world.session()
        with pytest.raises(StoreError), session.transaction() as conn:
            write_plan(session, conn)
    finally:
        with world.owner.begin() as conn:
            conn.exec_driver_sql("alter table intake.outbox_intent drop constraint ck_stuck")
    assert world.query("select 1 from intake.outbox_intent where run_id = :run", run=session.run_id) == []
    assert world.query(open_now)[0][0] == before.size


def test_addresses_without_anything_to_write_are_closed_however_many(world: World) -> None:
    world.perform(subscribers(5))
    world.run()
    with world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.contact_point set version = version + 1")
    plan, _ = planned(world)
    assert plan.size == 0
    assert world.query("select 1 from intake.contact_point where version > acked_version") == []


def test_no_more_than_one_address_of_intents_is_held_at_a_time(world: World) -> None:
    world.perform(subscribers(30))
    session = world.session()
    take_in(session)
    held: list[int] = []

    def look(_: Intent) -> None:
        held.append(sum(isinstance(one, Intent) for one in gc.get_objects()))

    gc.collect()
    # What is there already is not looked at again and again: other tests leave millions of objects.
    gc.freeze()
    try:
        with session.transaction() as conn:
            plan = make_plan(session, conn, each=look)
    finally:
        gc.unfreeze()
    assert len(held) == plan.size > 200
    assert 1 <= max(held) <= 2 * plan.size / 30
