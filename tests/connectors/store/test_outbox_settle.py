"""Settling and closing: what the CRM said is kept, what it holds is known, and only what it took in full is up to date."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import CONTACT, EVENT
from tests.merging import acting, close_engines
from tests.outboxing import (
    NOW,
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


@pytest.fixture(scope="module", autouse=True)
def engines(store: ServerAddress) -> Iterator[None]:
    yield
    close_engines()


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    return make_intent(make_address(store), method=Method.UPSERT)


# Settling.


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


def test_settling_nothing_is_nothing(store: ServerAddress) -> None:
    with acting(store) as conn:
        outbox.settle(conn, [])


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


# Closing.


def address_of(store: ServerAddress, address: UUID | None) -> tuple[int, datetime | None]:
    """The version acknowledged and the next end of an address."""
    (row,) = query(
        store, "select acked_version, next_end_at from intake.contact_point where contact_point_id = :id", id=address
    )
    return row.acked_version, row.next_end_at


def close(store: ServerAddress, run_id: UUID) -> None:
    with acting(store) as conn:
        outbox.close_addresses(conn, run_id, now=NOW)


def live(store: ServerAddress, address: UUID | None, *ends: datetime | None) -> None:
    """A person at the address whose purposes end then."""
    person = uuid4()
    execute(store, "insert into intake.person (person_id, contact_point_id) values (:p, :a)", p=person, a=address)
    for number, end in enumerate(ends):
        execute(
            store,
            "insert into intake.person_purpose (person_id, purpose, contact_point_id, begins_at, ends_at)"
            " values (:p, :purpose, :a, :begins, :end)",
            p=person,
            purpose=str(number),
            a=address,
            begins=NOW - timedelta(days=9),
            end=end,
        )


def test_an_address_is_up_to_date_with_the_version_planned_once_all_is_acknowledged(
    store: ServerAddress, intent: Intent
) -> None:
    execute(store, "update intake.contact_point set version = 7 where contact_point_id = :a", a=intent.contact_point_id)
    run_id = add(store, *(replace(intent, row_id=uuid4(), planned_version=7) for _ in range(2)))
    settle(store, claim(store, run_id, intent))
    assert address_of(store, intent.contact_point_id)[0] == 0
    close(store, run_id)
    assert address_of(store, intent.contact_point_id)[0] == 7


@pytest.mark.parametrize("state", ["waiting", "pending", "claimed", "superseded", "refused", "conflict"])
def test_an_address_of_which_anything_is_not_acknowledged_is_not_up_to_date(
    store: ServerAddress, intent: Intent, state: str
) -> None:
    run_id = add(store, intent, replace(intent, row_id=uuid4()))
    settle(store, claim(store, run_id, intent))
    execute(
        store,
        "update intake.outbox_intent set state = :state, finished_at = null where run_id = :run and row_id <> :row",
        state=state,
        run=run_id,
        row=intent.row_id,
    )
    close(store, run_id)
    assert address_of(store, intent.contact_point_id)[0] == 0


def test_closing_a_run_closes_no_other_runs_addresses(store: ServerAddress, intent: Intent) -> None:
    other = make_intent(make_address(store))
    runs = [deliver(store, one) for one in (intent, other)]
    close(store, runs[0])
    assert [address_of(store, one.contact_point_id)[0] for one in (intent, other)] == [1, 0]


def test_an_older_run_that_is_closed_late_takes_nothing_back(store: ServerAddress, intent: Intent) -> None:
    run_id = deliver(store, intent)
    execute(
        store,
        "update intake.contact_point set acked_version = 5 where contact_point_id = :a",
        a=intent.contact_point_id,
    )
    close(store, run_id)
    assert address_of(store, intent.contact_point_id)[0] == 5


@pytest.mark.parametrize("unchanged", [True, False])
def test_a_closed_address_comes_up_again_at_the_next_end_of_a_purpose(
    store: ServerAddress, intent: Intent, unchanged: bool
) -> None:
    next_end = NOW + timedelta(seconds=1)
    live(store, intent.contact_point_id, NOW, NOW - timedelta(days=1), next_end, next_end + timedelta(days=1), None)
    live(store, make_address(store), NOW + timedelta(microseconds=1))
    if unchanged:
        with acting(store) as conn:
            outbox.close_unchanged(conn, [(UUID(str(intent.contact_point_id)), 1)], now=NOW)
    else:
        close(store, deliver(store, intent))
    assert address_of(store, intent.contact_point_id) == (1, next_end)


def test_an_address_without_an_end_has_none(store: ServerAddress, intent: Intent) -> None:
    live(store, intent.contact_point_id, None)
    execute(
        store,
        "update intake.contact_point set next_end_at = :at where contact_point_id = :a",
        at=NOW,
        a=intent.contact_point_id,
    )
    close(store, deliver(store, intent))
    assert address_of(store, intent.contact_point_id) == (1, None)


def test_addresses_with_nothing_to_write_are_up_to_date_and_no_others(store: ServerAddress) -> None:
    addresses = [make_address(store) for _ in range(3)]
    with acting(store) as conn:
        outbox.close_unchanged(conn, [], now=NOW)
        outbox.close_unchanged(conn, [(addresses[0], 4), (addresses[1], 6)], now=NOW)
        outbox.close_unchanged(conn, [(addresses[1], 5)], now=NOW)
    assert [address_of(store, address)[0] for address in addresses] == [4, 6, 0]


def occasion(store: ServerAddress, *, acked: int = 0) -> UUID:
    pk = uuid4()
    execute(
        store,
        "insert into intake.occasion (occasion_pk, source, occasion_id, kind, acked_version)"
        " values (:pk, 'short_courses', :name, 'course_registration', :acked)",
        pk=pk,
        name=str(pk),
        acked=acked,
    )
    return pk


def acked(store: ServerAddress, pk: UUID) -> int:
    return int(query(store, "select acked_version from intake.occasion where occasion_pk = :pk", pk=pk)[0][0])


@pytest.mark.parametrize("state", list(IntentState))
def test_an_occasion_is_up_to_date_once_it_is_acknowledged(store: ServerAddress, state: IntentState) -> None:
    pks = [occasion(store), occasion(store), occasion(store, acked=9)]
    event = make_intent(phase=Phase.OCCASIONS, table_name=EVENT.logical_name, planned_version=3)
    run_id = add(store, *(replace(event, row_id=pk, occasion_pk=pk) for pk in (pks[0], pks[2])))
    deliver(store, replace(event, row_id=pks[1], occasion_pk=pks[1]))
    execute(store, "update intake.outbox_intent set state = :state where run_id = :run", state=str(state), run=run_id)
    close(store, run_id)
    is_acked = state is IntentState.ACKNOWLEDGED
    assert [acked(store, pk) for pk in pks] == [3 if is_acked else 0, 0, 9]


def test_a_registrations_intent_says_nothing_of_its_occasion(store: ServerAddress, intent: Intent) -> None:
    pk = occasion(store)
    run_id = deliver(store, replace(intent, occasion_pk=pk))
    close(store, run_id)
    assert acked(store, pk) == 0
    assert states_of(store, run_id) == ["acknowledged"]


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
