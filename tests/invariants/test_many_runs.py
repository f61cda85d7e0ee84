"""Runs side by side over the same inputs, and holders of a lock that sleep: one state, and nothing sent by who was overtaken.

A run here is a thread with an engine, a session and a CRM client of its own: as far as the store can tell, a worker.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from connectors.dataverse import DataverseClient
from connectors.store import outbox
from connectors.store.engine import create_store_engine
from connectors.store.migrate import PIPELINE_ROLE
from pipelines.operations.delivery import deliver_phase, table_name
from pipelines.operations.erasure import alone
from pipelines.operations.sessions import Session
from pipelines.operations.sync import WRITER_LOCK, as_writer, close, prepare
from pipelines.operations.workspace import dataverse_client
from schemas.errors import LockLost
from schemas.intents import Phase
from tests.invariants.acts import RECEIVED, T0, Act, Who, facts_of, register
from tests.invariants.model import expected
from tests.invariants.wire import check_wire
from tests.invariants.world import World, assert_holds, lose_locks, take_in, whole_run
from tests.sizes import sized

# How many runs a round has, over and over: each number up to eight, two and three the most often.
CROWDS = (2, 8, 2, 3, 4, 2, 5, 2, 3, 2, 7, 2, 3, 2, 6, 2, 4, 2, 3, 2)
DAY = timedelta(days=1)


@contextmanager
def another(world: World) -> Iterator[tuple[Session, DataverseClient]]:
    """What a worker of its own would have."""
    workspace = replace(world.workspace, engine=create_store_engine(world.address, role=PIPELINE_ROLE, pool_size=8))
    crm = dataverse_client(world.settings, workspace.policy)
    try:
        yield replace(world.session(), workspace=workspace), crm
    finally:
        crm.close()
        workspace.engine.dispose()


def run_apart(world: World) -> None:
    with another(world) as (session, crm):
        whole_run(session, crm)


def run_next(world: World, worker: tuple[Session, DataverseClient]) -> None:
    """The next run of a worker, which keeps its engine and its client."""
    last, crm = worker
    whole_run(replace(world.session(), workspace=last.workspace), crm)


def round_of(number: int) -> list[Act]:
    """New registrations that want mail, and an earlier one taken back, in one round."""
    acts = []
    for nth in range(4):
        who = Who(f"r{number}n{nth}@example.org", "aino")
        acts.append(register(10 * number + nth, who, T0, marketing="Yes", marketing_at=T0, course=f"LK{number}"))
    if number > 1:
        left = {"status": "out", "marketing": "No", "marketing_at": T0 + DAY, "last_flag": "Yes"}
        who = Who(f"r{number - 1}n0@example.org", "aino")
        acts.append(register(10 * (number - 1), who, T0, changed_at=T0 + DAY, course=f"LK{number - 1}", **left))
    return acts


def check_raises(world: World) -> None:
    """Each raising request was justified when it was sent; lowering goes first within a run, and here are several."""
    world.syncs = list(range(world.emulator.control.last_sequence() + 1))
    check_wire(world)


def test_runs_side_by_side_over_the_same_inputs_end_as_one_run_would(world: World) -> None:
    world.with_feeds("courses")
    rng, seen = random.Random(7), []
    with ExitStack() as stack, ThreadPoolExecutor(max(CROWDS)) as pool:
        workers = [stack.enter_context(another(world)) for _ in range(max(CROWDS))]
        for number in range(1, sized(20, 1000) + 1):
            acts = round_of(number)
            seen += acts
            # The same file more than once, whole and in part: what workers see that look at one folder.
            for part in (acts, acts[: rng.randint(1, len(acts))]):
                world.perform(part, at=RECEIVED + timedelta(seconds=number))
            list(pool.map(partial(run_next, world), workers[: CROWDS[number % len(CROWDS)]]))
            assert_holds(world, expected(facts_of(seen), now=world.now))
            assert not world.query("select from intake.outbox_intent where state in ('waiting', 'pending', 'claimed')")
            assert not world.writes(world.run().since), "one more run has nothing to write"
    check_raises(world)


def test_a_writer_that_slept_notices_before_its_next_request(world: World) -> None:
    world.with_feeds("courses")
    acts = round_of(1)
    world.perform(acts)
    run_apart(world)
    more = round_of(2)
    world.perform(more, at=RECEIVED + timedelta(seconds=2))
    with another(world) as (sleeper, crm), pytest.raises(LockLost), as_writer(sleeper, crm):
        take_in(sleeper)
        prepare(sleeper, crm)
        lose_locks(world)
        run_apart(world)
        since = world.emulator.control.last_sequence()
        with pytest.raises(LockLost):
            crm.who_am_i()
        try:
            for phase in Phase:
                deliver_phase(sleeper, crm, phase)
            close(sleeper)
        finally:
            assert not world.requests(since), "nothing is sent by who was overtaken"
    assert_holds(world, expected(facts_of([*acts, *more]), now=world.now))


def test_what_a_sleeper_had_claimed_is_read_back_before_anything_is_raised(world: World) -> None:
    world.with_feeds("courses")
    acts = round_of(1)
    world.perform(acts)
    run_apart(world)
    more = round_of(2)
    world.perform(more, at=RECEIVED + timedelta(seconds=2))
    with another(world) as (sleeper, crm), pytest.raises(LockLost), as_writer(sleeper, crm):
        take_in(sleeper)
        prepare(sleeper, crm)
        claimed = []
        for phase in (Phase.LOWERING, Phase.CONTACTS):
            with sleeper.transaction() as conn:
                for _, *group in outbox.open_groups(conn, sleeper.run_id, [phase]):
                    claimed += outbox.claim(conn, sleeper.run_id, phase, tuple(group), limit=100, now=sleeper.now)[0]
        assert claimed
        lose_locks(world)
        since = world.emulator.control.last_sequence()
        run_apart(world)
        assert world.requests(since)[0]["method"] == "GET", "the new holder reads first"
        with sleeper.transaction():
            pass
    assert_holds(world, expected(facts_of([*acts, *more]), now=world.now))
    check_raises(world)


def test_no_transaction_of_an_overtaken_holder_is_kept(world: World) -> None:
    with another(world) as (sleeper, crm), pytest.raises(LockLost), as_writer(sleeper, crm):
        token = sleeper.fences[WRITER_LOCK].token
        lose_locks(world)
        with another(world) as (next_one, _), as_writer(next_one):
            assert next_one.fences[WRITER_LOCK].token == token + 1
        with sleeper.transaction() as conn:
            outbox.supersede_open(conn)


def test_what_is_deleted_by_an_overtaken_holder_is_not_deleted(world: World) -> None:
    with another(world) as (sleeper, crm), pytest.raises(LockLost), alone(sleeper, crm):
        lose_locks(world)
        with another(world) as (next_one, _), alone(next_one):
            pass
        with sleeper.under_retention() as retention, retention.transaction():
            pass


def test_an_overtaken_holder_lets_go_of_nothing_in_the_crm(world: World) -> None:
    with another(world) as (sleeper, crm), pytest.raises(LockLost), alone(sleeper, crm):
        lose_locks(world)
        since = world.emulator.control.last_sequence()
        try:
            crm.fetch_rows(table_name("contact"), [str(uuid4())], [])
        finally:
            assert world.emulator.control.last_sequence() == since
