"""Claiming: in order, once, only the group asked for, and never two for one row at a time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import CONSENT, CONTACT
from tests.merging import acting
from tests.outboxing import NOW, add, claim, claim_counted, deliver, execute, intents_of, settle


def test_a_claimed_intent_says_all_that_sending_needs(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, intent)
    (claimed,) = claim(store, run_id, intent)
    (row,) = intents_of(store, run_id)
    assert (claimed.intent_id, claimed.row_id, claimed.columns) == (row["intent_id"], intent.row_id, intent.columns)
    assert (claimed.method, claimed.table_name) == (Method.PATCH, CONTACT.logical_name)
    assert isinstance(claimed.method, Method)
    assert (row["state"], row["claimed_at"], row["finished_at"], row["code"]) == ("claimed", NOW, None, None)


def test_with_the_claim_of_a_correction_is_told_what_the_crm_is_known_to_hold_and_with_no_other(
    store: ServerAddress, intent: Intent
) -> None:
    deliver(store, replace(intent, method=Method.UPSERT, columns={"lastname": "Ensimmäinen"}))
    found = []
    for method in Method:
        like = replace(intent, method=method)
        claimed = claim(store, add(store, like), like)
        with acting(store) as conn:
            left = [one for one in outbox.claimed_intents(conn) if one.row_id == intent.row_id]
        found.append([one.known for one in (*claimed, *left)])
        assert left == [replace(claimed[0], known={"lastname": "of the very row, and no other intent"})]
        settle(store, claimed, IntentState.REFUSED)
    known = {"lastname": "Ensimmäinen"}
    assert found == [[known, None] if method is Method.PATCH else [None, None] for method in Method]


def test_chunks_are_looked_up_by_key_in_their_own_transaction_alone(store: ServerAddress, intent: Intent) -> None:
    names = [f"enable_{way}" for way in ("sort", "seqscan", "bitmapscan", "hashjoin", "mergejoin", "memoize")]
    settings = text("select distinct current_setting(name) from unnest(cast(:names as text[])) as s (name)")

    def told() -> list[str]:
        return list(conn.execute(settings, {"names": names}).scalars())

    run_id = add(store, intent)
    with acting(store) as conn:
        group = (intent.method, intent.table_name)
        (claimed,), _ = outbox.claim(conn, run_id, intent.phase, group, limit=1, now=NOW)
        assert told() == ["off"]
    with acting(store) as conn:
        assert told() == ["on"]
        outbox.settle(conn, [Settled(claimed.intent_id, IntentState.ACKNOWLEDGED)])
        assert told() == ["off"]


def test_what_was_claimed_before_is_not_looked_at_again(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, *(replace(intent, row_id=uuid4()) for _ in range(3)))
    ids = [row["intent_id"] for row in intents_of(store, run_id)]
    with acting(store) as conn:
        group = (intent.method, intent.table_name)
        claimed, _ = outbox.claim(conn, run_id, intent.phase, group, limit=9, now=NOW, after=ids[0])
    assert [one.intent_id for one in claimed] == ids[1:]


@pytest.mark.parametrize(
    "other",
    [
        {"phase": Phase.CLEARS},
        {"method": Method.UPSERT},
        {"table_name": CONSENT.logical_name},
    ],
)
def test_only_the_group_asked_for_is_claimed(store: ServerAddress, intent: Intent, other: dict[str, object]) -> None:
    run_id = add(store, intent)
    assert claim_counted(store, run_id, replace(intent, **other)) == ([], 0)
    assert claim_counted(store, uuid4(), intent) == ([], 0)
    assert len(claim(store, run_id, intent)) == 1


def test_no_more_are_claimed_than_asked_for_and_in_the_order_written_down(store: ServerAddress, intent: Intent) -> None:
    intents = [replace(intent, row_id=uuid4()) for _ in range(5)]
    run_id = add(store, *intents)
    found = [[one.row_id for one in claim(store, run_id, intent, limit=2)] for _ in range(4)]
    rows = [one.row_id for one in intents]
    assert found == [rows[:2], rows[2:4], rows[4:], []]


@pytest.mark.parametrize("state", [s for s in IntentState if s is not IntentState.PENDING])
def test_only_what_is_pending_is_claimed(store: ServerAddress, intent: Intent, state: IntentState) -> None:
    run_id = add(store, intent)
    execute(store, "update intake.outbox_intent set state = :state where run_id = :run", state=str(state), run=run_id)
    assert claim_counted(store, run_id, intent) == ([], 0)


def test_several_writers_claim_each_intent_once(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, *(replace(intent, row_id=uuid4()) for _ in range(60)))

    def work(_: int) -> list[int]:
        found: list[int] = []
        while claimed := claim(store, run_id, intent, limit=7):
            found += [one.intent_id for one in claimed]
        return found

    with ThreadPoolExecutor(2) as pool:
        taken = [intent_id for found in pool.map(work, range(2)) for intent_id in found]
    assert len(taken) == len(set(taken)) == 60


def test_while_a_row_has_a_claimed_intent_no_other_for_it_is_claimed(store: ServerAddress, intent: Intent) -> None:
    first = claim(store, add(store, intent), intent)
    second = add(store, replace(intent, contact_point_id=None))
    assert claim_counted(store, second, intent) == ([], 0)
    settle(store, first, IntentState.REFUSED)
    assert len(claim(store, second, intent)) == 1


def test_a_claimed_row_of_another_table_holds_nothing_back(store: ServerAddress, intent: Intent) -> None:
    claim(store, add(store, intent), intent)
    other = replace(intent, table_name=CONSENT.logical_name)
    assert len(claim(store, add(store, other), other)) == 1


def test_two_intents_for_one_row_go_one_after_the_other(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, intent, replace(intent, columns={"lastname": "Kolmas"}))
    first = claim(store, run_id, intent)
    assert [one.columns for one in first] == [{"lastname": "Toinen"}]
    assert claim(store, run_id, intent) == []
    settle(store, first)
    assert [one.columns for one in claim(store, run_id, intent)] == [{"lastname": "Kolmas"}]


def test_a_row_of_another_table_with_the_same_id_is_another_row(store: ServerAddress, intent: Intent) -> None:
    other = replace(intent, table_name=CONSENT.logical_name)
    run_id = add(store, intent, other)
    assert len(claim(store, run_id, other)) == 1


def test_a_writer_takes_what_no_other_is_taking_and_waits_for_none(store: ServerAddress, intent: Intent) -> None:
    intents = [replace(intent, row_id=uuid4(), contact_point_id=None) for _ in range(2)]
    run_id = add(store, *intents)
    group = (intent.method, intent.table_name)
    with acting(store) as slow:
        first, _ = outbox.claim(slow, run_id, intent.phase, group, limit=1, now=NOW)
        with acting(store) as quick:
            quick.execute(text("set local lock_timeout = '2s'"))
            second, _ = outbox.claim(quick, run_id, intent.phase, group, limit=2, now=NOW)
    assert [one.row_id for one in (*first, *second)] == [one.row_id for one in intents]


def test_what_another_run_or_phase_means_for_a_row_holds_nothing_back(store: ServerAddress, intent: Intent) -> None:
    elsewhere = replace(intent, contact_point_id=None)
    add(store, elsewhere)
    run_id = add(store, replace(elsewhere, phase=Phase.CLEARS))
    add(store, elsewhere, run_id=run_id)
    assert len(claim(store, run_id, elsewhere)) == 1
