"""Only what the ledger still justifies is claimed, and goes on standing until it is sent."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from schemas.errors import StoreError
from schemas.intents import Intent, Phase
from schemas.tables import EVENT
from tests.merging import acting
from tests.outboxing import NOW, add, claim, claim_counted, execute, intents_of, make_address, make_intent


@pytest.mark.parametrize("version", [0, 2, None])
def test_what_was_planned_from_another_version_is_set_aside(
    store: ServerAddress, intent: Intent, version: int | None
) -> None:
    run_id = add(store, replace(intent, planned_version=version))
    assert claim_counted(store, run_id, intent) == ([], 1)
    (row,) = intents_of(store, run_id)
    assert (row["state"], row["code"]) == ("superseded", "address_changed")
    assert row["finished_at"] is not None


@pytest.mark.parametrize(("ends_in_s", "stands"), [(0, False), (-1, False), (1, True)])
def test_what_a_purpose_justifies_is_sent_until_it_ends(
    store: ServerAddress, intent: Intent, ends_in_s: int, stands: bool
) -> None:
    run_id = add(store, replace(intent, valid_until=NOW + timedelta(seconds=ends_in_s)))
    claimed, superseded = claim_counted(store, run_id, intent)
    assert (len(claimed), superseded) == ((1, 0) if stands else (0, 1))
    assert intents_of(store, run_id)[0]["code"] == (None if stands else "purpose_ended")


def test_a_lowering_is_sent_whatever_has_changed(store: ServerAddress, intent: Intent) -> None:
    lowering = replace(
        intent, phase=Phase.LOWERING, is_raising=False, planned_version=0, valid_until=NOW - timedelta(days=1)
    )
    assert len(claim(store, add(store, lowering), lowering)) == 1


def test_what_belongs_to_no_address_looks_at_none(store: ServerAddress) -> None:
    event = make_intent(phase=Phase.OCCASIONS, table_name=EVENT.logical_name, planned_version=5)
    assert len(claim(store, add(store, event), event)) == 1


def test_the_standing_and_the_fallen_of_one_chunk_are_told_apart(store: ServerAddress, intent: Intent) -> None:
    intents = [replace(intent, row_id=uuid4(), planned_version=version) for version in (0, 1, 0, 0)]
    claimed, superseded = claim_counted(store, add(store, *intents), intent)
    assert ([one.row_id for one in claimed], superseded) == ([intents[1].row_id], 3)


def test_a_lowering_that_a_later_plan_answered_for_is_told_as_such(store: ServerAddress, intent: Intent) -> None:
    lowering = replace(intent, phase=Phase.LOWERING, is_raising=False)
    run_id = add(store, lowering)
    execute(
        store,
        "update intake.contact_point set version = 3, acked_version = 2 where contact_point_id = :a",
        a=intent.contact_point_id,
    )
    assert claim_counted(store, run_id, lowering) == ([], 1)
    assert [row["code"] for row in intents_of(store, run_id)] == ["address_changed"]


@pytest.mark.parametrize(("plan", "claims"), [("plan", 0), ("narrow:plan", 1)])
def test_what_is_under_a_lease_is_left_to_the_narrow_synchronisation(
    store: ServerAddress, intent: Intent, plan: str, claims: int
) -> None:
    execute(
        store,
        "insert into intake.narrow_call (contact_point_id, leased_until) values (:a, clock_timestamp() + interval '1 hour')",
        a=intent.contact_point_id,
    )
    run_id, event = add(store, intent), make_intent(None, table_name=EVENT.logical_name, planned_version=None)
    add(store, event, run_id=run_id)
    execute(store, "update intake.outbox_intent set writing = :plan where run_id = :run", plan=plan, run=run_id)
    assert len(claim(store, run_id, intent)) == claims
    assert len(claim(store, run_id, event)) == 1, "what belongs to no address is under no lease"


@pytest.mark.parametrize(
    ("what", "stands"),
    [("nothing", True), ("moves", False), ("ends", False), ("is gone", False), ("another moves", True)],
)
def test_what_stands_while_it_waits_is_what_would_be_claimed_now(
    store: ServerAddress, intent: Intent, what: str, stands: bool
) -> None:
    other = replace(intent, row_id=uuid4(), contact_point_id=make_address(store))
    event = make_intent(None, table_name=EVENT.logical_name, row_id=uuid4(), planned_version=7)
    run_id = add(store, replace(intent, valid_until=NOW), other, event)
    first, second, third = (row["intent_id"] for row in intents_of(store, run_id))
    moved = {"moves": intent, "another moves": other}.get(what)
    if moved is not None:
        execute(
            store, "update intake.contact_point set version = 2 where contact_point_id = :a", a=moved.contact_point_id
        )
    if what == "is gone":
        execute(store, "delete from intake.contact_point where contact_point_id = :a", a=intent.contact_point_id)
    now = NOW if what == "ends" else NOW - timedelta(microseconds=1)
    with acting(store) as conn:
        assert outbox.still_stand(conn, [first, third], now=now) is stands
        assert outbox.still_stand(conn, [first, second, third], now=now) is (stands and what != "another moves")
        assert outbox.still_stand(conn, [third], now=now)


def test_no_address_moves_on_between_the_look_at_the_ledger_and_the_commit_of_the_claim(
    store: ServerAddress, intent: Intent
) -> None:
    run_id = add(store, intent)
    with acting(store) as conn:
        outbox.claim(conn, run_id, intent.phase, (intent.method, intent.table_name), limit=1, now=NOW)
        with pytest.raises(StoreError) as waited, acting(store) as other:
            other.execute(text("set local lock_timeout = '50ms'"))
            moving = text("update intake.contact_point set version = 2 where contact_point_id = :a")
            other.execute(moving, {"a": intent.contact_point_id})
    assert waited.value.sqlstate == "55P03"
