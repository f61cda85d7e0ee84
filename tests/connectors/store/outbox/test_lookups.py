"""Claiming, settling and refusing look each intent up, also where the outbox was last counted with nothing open in it.

The planner then takes an index of what is open for empty, and would go through the whole of it for each row. Told by the
server's own count of the entries of indexes that were read.
"""

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Claimed, Settled
from schemas.intents import Intent, IntentState
from tests.merging import acting
from tests.outboxing import NOW, claim, intents_of, make_address, make_intent, states_of

INTENTS = 300
# For each intent: itself, those of its address and of its row, what is known of the row, and their old versions.
MOST_READ = 30

_READ = "select sum(idx_tup_read) from pg_stat_user_indexes where relname in ('outbox_intent', 'crm_row')"


@pytest.fixture(params=[1, 16_000])
def counted_empty(store: ServerAddress, request: pytest.FixtureRequest) -> ServerAddress:
    """A store whose outbox was counted when all in it was settled: a row, or more than a page of an index."""
    open_run(store, count=request.param)
    with psycopg.connect(store.uri_adbc, autocommit=True) as owner:
        owner.execute("update intake.outbox_intent set state = 'superseded', finished_at = now()")
        owner.execute("vacuum analyze intake.outbox_intent")
    return store


def entries_read(store: ServerAddress, work: Callable[[Connection], object]) -> int:
    """How many entries of indexes a piece of work reads in a transaction of its own."""
    before = total(store)
    with acting(store) as conn:
        work(conn)
        conn.execute(text("select pg_stat_force_next_flush()"))
    return total(store) - before


def total(store: ServerAddress) -> int:
    with acting(store, role=None) as conn:
        return int(conn.execute(text(_READ)).scalar_one())


def open_run(store: ServerAddress, *, count: int = INTENTS) -> tuple[UUID, Intent]:
    """A run with many intents since the outbox was counted, and one of them."""
    addresses = [make_address(store) for _ in range(min(count, INTENTS))]
    intents = [make_intent(addresses[number % len(addresses)]) for number in range(count)]
    run_id = uuid4()
    with acting(store) as conn:
        outbox.copy_intents(conn, intents, writing="plan", run_id=run_id, guarded_wait=False)
    return run_id, intents[0]


def test_claiming_looks_up_each_intent(counted_empty: ServerAddress) -> None:
    run_id, like = open_run(counted_empty)
    found: list[Claimed] = []

    def work(conn: Connection) -> None:
        group = (like.method, like.table_name)
        found.extend(outbox.claim(conn, run_id, like.phase, group, limit=INTENTS, now=NOW)[0])

    assert entries_read(counted_empty, work) <= MOST_READ * INTENTS
    assert len(found) == INTENTS


def test_settling_looks_up_each_intent(counted_empty: ServerAddress) -> None:
    run_id, like = open_run(counted_empty)
    answers = [
        Settled(one.intent_id, IntentState.ACKNOWLEDGED) for one in claim(counted_empty, run_id, like, limit=INTENTS)
    ]
    assert entries_read(counted_empty, lambda conn: outbox.settle(conn, answers)) <= MOST_READ * INTENTS
    assert states_of(counted_empty, run_id) == ["acknowledged"] * INTENTS


def test_refusing_looks_up_each_intent(counted_empty: ServerAddress) -> None:
    run_id, _ = open_run(counted_empty)
    refused = [(one["intent_id"], "too_long lastname") for one in intents_of(counted_empty, run_id)]
    assert entries_read(counted_empty, lambda conn: outbox.refuse_unsent(conn, refused)) <= MOST_READ * INTENTS
    assert states_of(counted_empty, run_id) == ["refused"] * INTENTS
