"""What nobody has claimed: its groups, its reading in pieces, what is refused, let go, held, or set aside."""

from dataclasses import replace
from itertools import islice
from uuid import UUID, uuid4

import pytest

from connectors.store import outbox
from connectors.store.address import ServerAddress
from schemas.intents import Intent, Method, Phase
from schemas.tables import CONSENT, CONTACT
from tests.merging import acting
from tests.outboxing import add, claim, execute, intents_of, make_address, settle, states_of


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


@pytest.mark.parametrize("waits", [False, True])
def test_what_cannot_be_sent_as_it_is_is_refused_with_its_code_and_nothing_beside_it(
    store: ServerAddress, intent: Intent, waits: bool
) -> None:
    beside = [
        replace(intent, row_id=uuid4()),
        replace(intent, table_name=CONSENT.logical_name),
        replace(intent, phase=Phase.FLAGS),
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


@pytest.mark.parametrize(("at_a_time", "sizes", "waits"), [(9, [4], False), (2, [2, 2], True), (3, [3, 1], True)])
def test_what_nobody_has_claimed_is_read_some_at_a_time_and_nothing_else(
    store: ServerAddress, intent: Intent, at_a_time: int, sizes: list[int], waits: bool
) -> None:
    alike = [
        replace(intent, row_id=uuid4(), method=m) for m in (Method.PATCH, Method.UPSERT, Method.PATCH, Method.UPSERT)
    ]
    others = [replace(intent, row_id=uuid4(), table_name=CONSENT.logical_name), replace(intent, phase=Phase.FLAGS)]
    run_id = add(store, intent, *alike, *others, waits=waits)
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
