"""Settling: what the CRM said is kept, and what it holds is known."""

from dataclasses import FrozenInstanceError, replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from schemas.intents import Intent, IntentState, Method
from schemas.tables import CONTACT, EVENT
from tests.merging import acting
from tests.outboxing import (
    add,
    claim,
    deliver,
    execute,
    held_of,
    intents_of,
    make_address,
    make_intent,
    query,
    settle,
    states_of,
)


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    return make_intent(make_address(store), method=Method.UPSERT)


def test_the_servers_words_are_kept_with_each_intent(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, intent, replace(intent, row_id=uuid4()))
    first, second = claim(store, run_id, intent)
    with acting(store) as conn:
        outbox.settle(
            conn,
            [
                Settled(second.intent_id, IntentState.REFUSED, 400, "0x80040217", "r2"),
                Settled(first.intent_id, IntentState.ACKNOWLEDGED, 204, None, "r1"),
            ],
        )
    told = [[row[name] for name in ("state", "status", "code", "request_id")] for row in intents_of(store, run_id)]
    assert told == [["acknowledged", 204, None, "r1"], ["refused", 400, "0x80040217", "r2"]]
    assert all(row["finished_at"] is not None for row in intents_of(store, run_id))


@pytest.mark.parametrize(("at_leisure", "waits"), [(True, "off"), (False, "on")])
def test_only_what_is_settled_at_leisure_does_not_wait_for_the_disk(
    store: ServerAddress, intent: Intent, at_leisure: bool, waits: str
) -> None:
    run_id = add(store, intent)
    (one,) = claim(store, run_id, intent)
    with acting(store) as conn:
        conn.execute(text("set local synchronous_commit = on"))
        outbox.settle(conn, [Settled(one.intent_id, IntentState.ACKNOWLEDGED)], at_leisure=at_leisure)
        assert conn.execute(text("show synchronous_commit")).scalar_one() == waits
    assert states_of(store, run_id) == ["acknowledged"]


def test_what_is_put_back_is_open_again(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, intent)
    settle(store, claim(store, run_id, intent), IntentState.PENDING)
    (row,) = intents_of(store, run_id)
    assert (row["state"], row["finished_at"]) == ("pending", None)
    assert held_of(store, intent) is None
    assert len(claim(store, run_id, intent)) == 1


def test_what_was_claimed_and_what_became_of_it_cannot_be_changed_on_the_way(
    store: ServerAddress, intent: Intent
) -> None:
    (claimed,) = claim(store, add(store, intent), intent)
    for one in (claimed, Settled(claimed.intent_id, IntentState.REFUSED)):
        with pytest.raises(FrozenInstanceError):
            one.intent_id = 0  # type: ignore[misc]


def test_settling_nothing_changes_neither_what_is_claimed_nor_what_is_known(
    store: ServerAddress, intent: Intent
) -> None:
    deliver(store, intent)
    run_id = add(store, replace(intent, method=Method.PATCH, columns={"lastname": "Kolmas"}))
    assert len(claim(store, run_id, replace(intent, method=Method.PATCH))) == 1

    def stands() -> tuple[object, object]:
        rows = query(store, "select * from intake.crm_row where row_id = :row", row=intent.row_id)
        return intents_of(store, run_id), rows

    before = stands()
    with acting(store) as conn:
        outbox.settle(conn, [])
    assert stands() == before
    assert states_of(store, run_id) == ["claimed"]


def test_what_is_acknowledged_is_known_of_its_row(store: ServerAddress, intent: Intent) -> None:
    deliver(store, replace(intent, columns={"lastname": "Toinen", "firstname": None}))
    (row,) = query(store, "select * from intake.crm_row where row_id = :row", row=intent.row_id)
    assert (row.table_name, row.contact_point_id, row.is_ours) == (CONTACT.logical_name, intent.contact_point_id, True)
    assert row.columns == {"lastname": "Toinen"}


def test_a_later_write_changes_what_is_known_of_the_columns_it_wrote(store: ServerAddress, intent: Intent) -> None:
    deliver(store, replace(intent, columns={"lastname": "Toinen", "firstname": "Aino", "mobilephone": "1"}))
    execute(store, "update intake.crm_row set acked_at = '2020-01-01' where row_id = :row", row=intent.row_id)
    deliver(store, replace(intent, method=Method.PATCH, columns={"lastname": "Kolmas", "mobilephone": None}))
    assert held_of(store, intent) == {"lastname": "Kolmas", "firstname": "Aino"}
    (row,) = query(store, "select acked_at from intake.crm_row where row_id = :row", row=intent.row_id)
    assert row.acked_at.year > 2020


def test_what_is_deleted_is_known_no_more_and_its_neighbours_are(store: ServerAddress, intent: Intent) -> None:
    other = replace(intent, row_id=uuid4())
    for one in (intent, other, replace(intent, table_name=EVENT.logical_name)):
        deliver(store, one)
    deliver(store, replace(intent, method=Method.DELETE, columns={}))
    assert held_of(store, intent) is None
    assert held_of(store, other) == intent.columns
    assert held_of(store, replace(intent, table_name=EVENT.logical_name)) == intent.columns


@pytest.mark.parametrize("state", [IntentState.REFUSED, IntentState.CONFLICT, IntentState.SUPERSEDED])
def test_a_deletion_that_did_not_come_through_forgets_nothing(
    store: ServerAddress, intent: Intent, state: IntentState
) -> None:
    deliver(store, intent)
    deliver(store, replace(intent, method=Method.DELETE, columns={}), state)
    assert held_of(store, intent) == intent.columns


def test_each_row_of_a_chunk_gets_its_own_columns(store: ServerAddress, intent: Intent) -> None:
    rows = [replace(intent, row_id=uuid4(), columns={"lastname": str(n)}) for n in range(3)]
    for _ in range(2):
        run_id = add(store, *rows)
        settle(store, claim(store, run_id, intent))
    assert [held_of(store, row) for row in rows] == [row.columns for row in rows]


def test_rows_of_two_tables_with_one_id_are_two_rows(store: ServerAddress, intent: Intent) -> None:
    names = (CONTACT.logical_name, EVENT.logical_name)
    rows = [replace(intent, table_name=name, columns={"lastname": name}) for name in names]
    for _ in range(2):
        run_id = add(store, *rows)
        settle(store, [one for row in rows for one in claim(store, run_id, row)])
    assert [held_of(store, row) for row in rows] == [row.columns for row in rows]


def test_known_columns_are_those_of_the_rows_asked_for(store: ServerAddress, intent: Intent) -> None:
    for one in (intent, replace(intent, row_id=uuid4()), replace(intent, table_name=EVENT.logical_name)):
        deliver(store, replace(one, columns={"lastname": one.table_name}))
    with acting(store) as conn:
        found = outbox.acknowledged_columns(conn, CONTACT.logical_name, [intent.row_id, uuid4()])
    assert found == {intent.row_id: {"lastname": CONTACT.logical_name}}


def test_what_has_no_answer_is_listed_whatever_its_run_in_the_order_written_down(
    store: ServerAddress, intent: Intent
) -> None:
    execute(store, "update intake.outbox_intent set state = 'superseded' where state = 'claimed'")
    runs = [add(store, replace(intent, row_id=uuid4()), replace(intent, row_id=uuid4())) for _ in range(2)]
    claimed = [one for run_id in reversed(runs) for one in claim(store, run_id, intent, limit=1)]
    with acting(store) as conn:
        found = outbox.claimed_intents(conn)
    assert found == sorted(claimed, key=lambda one: one.intent_id)


def test_an_answer_to_what_was_never_claimed_changes_nothing(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, intent)
    (row,) = intents_of(store, run_id)
    with acting(store) as conn:
        outbox.settle(conn, [Settled(row["intent_id"], IntentState.ACKNOWLEDGED, 204)])
    assert states_of(store, run_id) == ["pending"]
    assert held_of(store, intent) is None


def test_what_we_wrote_is_nobodys_edit_any_more_and_every_other_edit_stays_one(
    store: ServerAddress, intent: Intent
) -> None:
    deliver(store, intent)
    marks = '{"gone": "t", "lastname": "t", "firstname": "t"}'
    edits = "select edits from intake.crm_row where row_id = :row"
    assert query(store, edits, row=intent.row_id)[0].edits == {}
    set_marks = "update intake.crm_row set edits = cast(:marks as jsonb) where row_id = :row"
    execute(store, set_marks, marks=marks, row=intent.row_id)
    deliver(store, replace(intent, columns={"lastname": "Kolmas"}))
    assert query(store, edits, row=intent.row_id)[0].edits == {"firstname": "t"}


def test_how_many_intents_were_written_down_is_told(store: ServerAddress, intent: Intent) -> None:
    with acting(store) as conn:
        two = [intent, replace(intent, row_id=uuid4())]
        assert outbox.add_intents(conn, two, writing="plan", run_id=uuid4(), guarded_wait=False) == 2
