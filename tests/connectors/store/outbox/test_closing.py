"""Closing: only an address or an occasion that the CRM took in full is up to date, and comes up again at its next end."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import EVENT
from tests.merging import acting
from tests.outboxing import NOW, add, claim, deliver, execute, make_address, make_intent, query, settle, states_of


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    return make_intent(make_address(store), method=Method.UPSERT)


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


def test_an_address_planned_anew_in_its_run_is_up_to_date_with_the_later_version(
    store: ServerAddress, intent: Intent
) -> None:
    """The same run plans again after a conflict elsewhere; whoever acted meanwhile is then planned as they stand now."""
    run_id = deliver(store, intent)
    execute(store, "update intake.contact_point set version = 2 where contact_point_id = :a", a=intent.contact_point_id)
    later = replace(intent, row_id=uuid4(), planned_version=2)
    add(store, later, run_id=run_id)
    settle(store, claim(store, run_id, later))
    close(store, run_id)
    assert address_of(store, intent.contact_point_id)[0] == 2


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


def test_many_addresses_with_nothing_to_write_are_set_aside_and_closed_with_the_rest(store: ServerAddress) -> None:
    """Until then none of them is touched, so that nobody who acts meanwhile has to wait."""
    first, second, rest = (make_address(store) for _ in range(3))
    live(store, first, NOW, NOW + timedelta(days=1))
    with acting(store) as conn:
        for address in (first, second):
            kept = [(address, 4), *((uuid4(), 1) for _ in range(4998))]
            outbox.set_unchanged_aside(conn, kept)
            assert len(kept) == 4999, "so few are kept where they are"
            kept.append((uuid4(), 1))
            outbox.set_unchanged_aside(conn, kept)
            assert kept == []
        with acting(store) as other:
            other.execute(text("set local lock_timeout = '50ms'"))
            other.execute(text("select from intake.contact_point for update"))
        assert address_of(store, first) == (0, None)
        outbox.close_unchanged(conn, [(rest, 4)], now=NOW)
    assert [address_of(store, address)[0] for address in (first, second, rest)] == [4, 4, 4]
    assert address_of(store, first)[1] == NOW + timedelta(days=1)


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
