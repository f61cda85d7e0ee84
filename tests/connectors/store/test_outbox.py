"""Claiming: in order, once, only what the ledger still justifies, and never two for one row at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from schemas.errors import StoreError
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import CONSENT, CONTACT, EVENT
from tests.merging import acting, close_engines
from tests.outboxing import (
    NOW,
    add,
    claim,
    claim_counted,
    deliver,
    execute,
    intents_of,
    make_address,
    make_intent,
    settle,
    states_of,
)

FAILED = [IntentState.REFUSED, IntentState.CONFLICT]
FLAG = {"phase": Phase.FLAGS, "columns": {"donotbulkemail": False}}
CLEARING = {"phase": Phase.CLEARS, "columns": {"mobilephone": None}, "is_raising": False}


@pytest.fixture(scope="module", autouse=True)
def engines(store: ServerAddress) -> Iterator[None]:
    yield
    close_engines()


@pytest.fixture
def intent(store: ServerAddress) -> Intent:
    return make_intent(make_address(store))


# What is claimed.


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
    setting = text("select current_setting('enable_seqscan')")
    run_id = add(store, intent)
    with acting(store) as conn:
        group = (intent.method, intent.table_name)
        (claimed,), _ = outbox.claim(conn, run_id, intent.phase, group, limit=1, now=NOW)
        assert conn.execute(setting).scalar_one() == "off"
    with acting(store) as conn:
        assert conn.execute(setting).scalar_one() == "on"
        outbox.settle(conn, [Settled(claimed.intent_id, IntentState.ACKNOWLEDGED)])
        assert conn.execute(setting).scalar_one() == "off"


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


# What the ledger justifies.


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


# One at a time for a row.


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


def test_what_another_run_or_phase_means_for_a_row_holds_nothing_back(store: ServerAddress, intent: Intent) -> None:
    elsewhere = replace(intent, contact_point_id=None)
    add(store, elsewhere)
    run_id = add(store, replace(elsewhere, phase=Phase.CLEARS))
    add(store, elsewhere, run_id=run_id)
    assert len(claim(store, run_id, elsewhere)) == 1


# Phases of an address.


@pytest.mark.parametrize("state", ["waiting", "pending", "claimed"])
def test_nothing_goes_while_an_earlier_phase_of_the_address_is_under_way(
    store: ServerAddress, intent: Intent, state: str
) -> None:
    run_id = add(store, replace(intent, phase=Phase.REGISTRATIONS, row_id=uuid4()))
    execute(store, "update intake.outbox_intent set state = :state where run_id = :run", state=state, run=run_id)
    clearing = replace(intent, **CLEARING)
    add(store, intent, clearing, run_id=run_id)
    assert claim_counted(store, run_id, intent) == ([], 0)
    assert claim_counted(store, run_id, clearing) == ([], 0)


@pytest.mark.parametrize("difference", ["later phase", "same phase", "another address", "another run"])
def test_what_is_no_earlier_phase_of_the_address_in_the_run_holds_nothing_back(
    store: ServerAddress, intent: Intent, difference: str
) -> None:
    phase = {"later phase": Phase.FLAGS, "same phase": intent.phase}.get(difference, Phase.CONSENTS)
    address = make_address(store) if difference == "another address" else intent.contact_point_id
    run_id = add(store, intent)
    other = replace(intent, phase=phase, contact_point_id=address, row_id=uuid4())
    add(store, other, run_id=None if difference == "another run" else run_id)
    assert intent.row_id in [one.row_id for one in claim(store, run_id, intent)]


def failed(
    store: ServerAddress, intent: Intent, state: IntentState, *, phase: Phase, row_id: UUID | None = None
) -> UUID:
    """A run in which one intent of the address failed in a phase."""
    earlier = replace(intent, phase=phase, row_id=row_id or uuid4())
    run_id = add(store, earlier)
    settle(store, claim(store, run_id, earlier), state)
    return run_id


@pytest.mark.parametrize("state", FAILED)
@pytest.mark.parametrize("phase", [Phase.LOWERING, Phase.CONTACTS, Phase.CONSENTS])
def test_no_raise_goes_where_what_it_stands_on_has_failed(
    store: ServerAddress, intent: Intent, state: IntentState, phase: Phase
) -> None:
    run_id = failed(store, intent, state, phase=phase)
    add(store, replace(intent, **FLAG), run_id=run_id)
    assert claim_counted(store, run_id, replace(intent, **FLAG)) == ([], 1)
    row = intents_of(store, run_id)[1]
    assert (row["state"], row["code"]) == ("superseded", "held")


@pytest.mark.parametrize("state", FAILED)
def test_no_raise_of_a_row_goes_after_another_write_of_that_row_has_failed(
    store: ServerAddress, intent: Intent, state: IntentState
) -> None:
    run_id = failed(store, intent, state, phase=Phase.CORRECTIONS, row_id=intent.row_id)
    add(store, replace(intent, **FLAG), run_id=run_id)
    assert claim_counted(store, run_id, replace(intent, **FLAG)) == ([], 1)


@pytest.mark.parametrize("state", FAILED)
@pytest.mark.parametrize("phase", [Phase.OCCASIONS, Phase.REGISTRATIONS, Phase.CORRECTIONS])
def test_what_failed_elsewhere_holds_no_raise_back(
    store: ServerAddress, intent: Intent, state: IntentState, phase: Phase
) -> None:
    run_id = failed(store, intent, state, phase=phase)
    add(store, replace(intent, **FLAG), run_id=run_id)
    assert len(claim(store, run_id, replace(intent, **FLAG))) == 1


@pytest.mark.parametrize("other", [{"table_name": CONSENT.logical_name}, {"row_id": uuid4()}])
def test_the_row_that_failed_is_the_very_row(store: ServerAddress, intent: Intent, other: dict[str, object]) -> None:
    run_id = failed(store, intent, IntentState.REFUSED, phase=Phase.CORRECTIONS, row_id=intent.row_id)
    raised = replace(intent, **{**FLAG, **other})
    add(store, raised, run_id=run_id)
    assert len(claim(store, run_id, raised)) == 1


@pytest.mark.parametrize("state", FAILED)
def test_what_failed_holds_back_no_clearing_and_no_removal(
    store: ServerAddress, intent: Intent, state: IntentState
) -> None:
    run_id = failed(store, intent, state, phase=Phase.CONTACTS, row_id=intent.row_id)
    add(store, replace(intent, **CLEARING), run_id=run_id)
    assert len(claim(store, run_id, replace(intent, **CLEARING))) == 1


def test_what_has_succeeded_holds_no_raise_back(store: ServerAddress, intent: Intent) -> None:
    run_id = failed(store, intent, IntentState.ACKNOWLEDGED, phase=Phase.CONSENTS)
    add(store, replace(intent, **FLAG), run_id=run_id)
    assert len(claim(store, run_id, replace(intent, **FLAG))) == 1


@pytest.mark.parametrize("difference", ["another run", "another address", "later phase", "same phase"])
def test_a_failure_counts_in_its_own_run_and_address_and_for_what_comes_later(
    store: ServerAddress, intent: Intent, difference: str
) -> None:
    """A poison row so never blocks an address for ever: the next plan begins anew."""
    phase = {"later phase": Phase.CONSENTS, "same phase": Phase.CONTACTS}.get(difference, Phase.CONTACTS)
    address = make_address(store) if difference == "another address" else intent.contact_point_id
    run_id = failed(store, replace(intent, contact_point_id=address), IntentState.REFUSED, phase=phase)
    at = Phase.CONTACTS if "phase" in difference else Phase.FLAGS
    raised = replace(intent, phase=at)
    run_id = add(store, raised, run_id=None if difference == "another run" else run_id)
    assert len(claim(store, run_id, raised)) == 1


# Groups, and setting aside.


def test_open_groups_are_the_pending_ones_of_a_phase_and_run_each_once(store: ServerAddress, intent: Intent) -> None:
    intents = [
        intent,
        replace(intent, row_id=uuid4()),
        replace(intent, method=Method.UPSERT, row_id=uuid4()),
        replace(intent, table_name=CONSENT.logical_name),
        replace(intent, phase=Phase.CLEARS),
    ]
    run_id = add(store, *intents)
    add(store, replace(intent, method=Method.DELETE), run_id=None)
    expected = [
        (intent.phase, Method.PATCH, CONTACT.logical_name),
        (intent.phase, Method.PATCH, CONSENT.logical_name),
        (intent.phase, Method.UPSERT, CONTACT.logical_name),
    ]
    clears = (Phase.CLEARS, Method.PATCH, CONTACT.logical_name)
    with acting(store) as conn:
        groups = outbox.open_groups(conn, run_id, [intent.phase])
        assert groups == sorted(expected)
        assert all(isinstance(phase, Phase) and isinstance(method, Method) for phase, method, _ in groups)
        assert outbox.open_groups(conn, run_id, [Phase.CLEARS, intent.phase]) == sorted([*expected, clears])
    execute(store, "update intake.outbox_intent set state = 'waiting' where run_id = :run", run=run_id)
    with acting(store) as conn:
        assert outbox.open_groups(conn, run_id, [intent.phase]) == []


def test_before_planning_anew_all_that_was_not_claimed_is_set_aside(store: ServerAddress, intent: Intent) -> None:
    with acting(store) as conn:
        outbox.supersede_open(conn)
    waiting = add(store, intent, waits=True)
    run_id = add(store, *(replace(intent, row_id=uuid4()) for _ in range(3)))
    settle(store, claim(store, run_id, intent, limit=1))
    claim(store, run_id, intent, limit=1)
    with acting(store) as conn:
        assert outbox.supersede_open(conn) == 2
    assert states_of(store, waiting) == ["superseded"]
    assert states_of(store, run_id) == ["acknowledged", "claimed", "superseded"]
    finished = [row["finished_at"] is not None for row in (*intents_of(store, waiting), *intents_of(store, run_id))]
    assert finished == [True, True, False, True]


# What a single change of the statements would have slipped past.


def test_one_write_under_way_among_others_of_the_phase_is_waited_for(store: ServerAddress, intent: Intent) -> None:
    earlier = [replace(intent, phase=Phase.CONTACTS, row_id=uuid4()) for _ in range(2)]
    later = replace(intent, **FLAG)
    run_id = add(store, *earlier, later)
    settle(store, claim(store, run_id, earlier[0], limit=1))
    assert claim(store, run_id, later) == []


@pytest.mark.parametrize("state", FAILED)
def test_one_failure_among_successes_sets_the_raise_aside(
    store: ServerAddress, intent: Intent, state: IntentState
) -> None:
    earlier = [replace(intent, phase=Phase.CONTACTS, row_id=uuid4()) for _ in range(2)]
    later = replace(intent, **FLAG)
    run_id = add(store, *earlier, later)
    good, bad = claim(store, run_id, earlier[0])
    settle(store, [good])
    settle(store, [bad], state)
    assert claim_counted(store, run_id, later) == ([], 1)


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


def conflicts(store: ServerAddress, run_id: UUID) -> bool:
    with acting(store) as conn:
        return outbox.has_conflicts(conn, run_id)


@pytest.mark.parametrize("state", list(IntentState))
@pytest.mark.parametrize("method", list(Method))
def test_what_met_somebody_elses_edit_is_to_be_planned_anew(
    store: ServerAddress, intent: Intent, method: Method, state: IntentState
) -> None:
    quiet = replace(intent, row_id=uuid4(), method=Method.LOWER)
    run_id, other = add(store, replace(intent, method=method)), add(store, quiet)
    execute(store, "update intake.outbox_intent set state = :to where run_id = :run", to=state, run=run_id)
    is_edit = state is IntentState.CONFLICT and method in (Method.PATCH, Method.LOWER)
    assert conflicts(store, run_id) is is_edit
    assert (conflicts(store, other), conflicts(store, uuid4())) == (False, False)
    add(store, replace(quiet, row_id=uuid4(), phase=Phase.FLAGS), run_id=run_id)
    kept = add(store, replace(quiet, row_id=uuid4(), method=Method.DELETE), run_id=run_id)
    execute(
        store, "update intake.outbox_intent set state = 'conflict' where run_id = :run and method = 'delete'", run=kept
    )
    assert conflicts(store, run_id) is is_edit, "one conflict among others is one"
    add(store, replace(quiet, row_id=uuid4(), phase=Phase.FLAGS), run_id=run_id, waits=True)
    assert conflicts(store, run_id) is False, "a plan that waits is not replaced"


def test_a_conflict_in_a_plan_that_waits_waits_too(store: ServerAddress, intent: Intent) -> None:
    run_id = add(store, intent)
    execute(store, "update intake.outbox_intent set state = 'conflict' where run_id = :run", run=run_id)
    assert conflicts(store, run_id)
    add(store, replace(intent, row_id=uuid4()), run_id=run_id, waits=True)
    assert not conflicts(store, run_id)


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


@pytest.mark.parametrize("waits", [False, True])
def test_what_cannot_be_sent_as_it_is_is_refused_with_its_code_and_nothing_beside_it(
    store: ServerAddress, intent: Intent, waits: bool
) -> None:
    beside = [
        replace(intent, row_id=uuid4()),
        replace(intent, table_name=CONSENT.logical_name),
        replace(intent, **FLAG),
        replace(intent, method=Method.LOWER),
    ]
    run_id, other = add(store, intent, *beside, waits=waits), add(store, intent)
    first = intents_of(store, run_id)[0]["intent_id"]
    with acting(store) as conn:
        outbox.refuse_unsent(conn, [(first, "local:lastname:too_long")])
    (refused, *rest) = intents_of(store, run_id)
    assert (refused["state"], refused["code"]) == ("refused", "local:lastname:too_long")
    assert refused["finished_at"] is not None
    assert {row["state"] for row in rest} == {"waiting" if waits else "pending"}
    assert states_of(store, other) == ["pending"]


@pytest.mark.parametrize(("at_a_time", "sizes"), [(9, [4]), (2, [2, 2]), (3, [3, 1])])
def test_what_nobody_has_claimed_is_read_some_at_a_time_and_nothing_else(
    store: ServerAddress, intent: Intent, at_a_time: int, sizes: list[int]
) -> None:
    alike = [
        replace(intent, row_id=uuid4(), method=m) for m in (Method.PATCH, Method.UPSERT, Method.PATCH, Method.UPSERT)
    ]
    others = [replace(intent, row_id=uuid4(), table_name=CONSENT.logical_name), replace(intent, **FLAG)]
    run_id = add(store, intent, *alike, *others, waits=True)
    add(store, intent)
    with acting(store) as conn:
        outbox.refuse_unsent(conn, [(intents_of(store, run_id)[0]["intent_id"], "local:lastname:too_long")])
        unsent = outbox.iter_unsent(conn, run_id, intent.phase, intent.table_name, at_a_time=at_a_time)
        chunks = list(islice(unsent, 3))
    assert [len(chunk) for chunk in chunks] == sizes
    read = [intent_id for chunk in chunks for intent_id, _ in chunk]
    assert read == [row["intent_id"] for row in sorted(intents_of(store, run_id)[1:5], key=lambda row: row["method"])]
    assert all(columns == intent.columns for chunk in chunks for _, columns in chunk)


@pytest.mark.parametrize("waits", [False, True])
def test_a_writing_is_let_go_or_held_as_a_whole_but_for_its_lowerings(
    store: ServerAddress, intent: Intent, waits: bool
) -> None:
    other = replace(intent, row_id=uuid4())
    run_id = add(store, intent, replace(intent, phase=Phase.LOWERING, method=Method.LOWER), waits=not waits)
    add(store, other, run_id=run_id, waits=not waits)
    execute(store, "update intake.outbox_intent set writing = 'earlier' where row_id = :row", row=other.row_id)
    with acting(store) as conn:
        outbox.settle_waiting(conn, "plan", run_id=run_id, guarded_wait=waits)
    settled, before = ("waiting", "pending") if waits else ("pending", "waiting")
    assert states_of(store, run_id) == [settled, "pending", before]


def test_what_has_no_answer_is_told_by_run_by_kind_and_by_address(store: ServerAddress, intent: Intent) -> None:
    other = replace(intent, row_id=uuid4(), contact_point_id=make_address(store))
    runs = [add(store, one) for one in (intent, other)]
    execute(store, "update intake.outbox_intent set writing = 'narrow:plan' where run_id = :run", run=runs[1])
    for run_id, one in zip(runs, (intent, other), strict=True):
        claim(store, run_id, one)
    mine = {intent.row_id, other.row_id}

    def told(**asked: object) -> set[UUID]:
        with acting(store) as conn:
            return {one.row_id for one in outbox.claimed_intents(conn, **asked)} & mine  # type: ignore[arg-type]

    assert told() == mine
    assert told(run_id=runs[0]) == {intent.row_id}
    assert told(is_narrow=False) == {intent.row_id}
    assert told(is_narrow=True) == {other.row_id}
    assert told(among=[other.contact_point_id]) == {other.row_id}
