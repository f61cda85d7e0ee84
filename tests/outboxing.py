"""Builders for tests of the outbox: addresses and intents as a plan leaves them, claimed and settled as delivery does.

Everything is of this test's own: each address, row and run has a new id. An intent is valid by default, a correction of
a contact that raises, and is changed by name.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, text

from connectors.store import outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Claimed, Settled
from schemas.intents import Intent, IntentState, Method, Phase
from schemas.tables import CONTACT
from tests.merging import NOON, acting

NOW = NOON + timedelta(days=1)


def query(store: ServerAddress, statement: str, **values: Any) -> Sequence[Row[Any]]:
    with acting(store) as conn:
        return conn.execute(text(statement), values).all()


def execute(store: ServerAddress, statement: str, **values: Any) -> None:
    with acting(store) as conn:
        conn.execute(text(statement), values)


def make_address(store: ServerAddress, *, version: int = 1) -> UUID:
    """A new address at a version that the CRM has not acknowledged."""
    address = uuid4()
    execute(
        store,
        "insert into intake.contact_point (contact_point_id, address, address_key, is_role_address, version)"
        " values (:id, :name, :name, false, :version)",
        id=address,
        name=f"{address}@example.org",
        version=version,
    )
    return address


def make_intent(address: UUID | None = None, **changes: Any) -> Intent:
    plain = Intent(
        Phase.CORRECTIONS,
        Method.PATCH,
        CONTACT.logical_name,
        uuid4(),
        {"lastname": "Toinen"},
        is_raising=True,
        contact_point_id=address,
        planned_version=1,
    )
    return replace(plain, **changes)


def add(store: ServerAddress, *intents: Intent, run_id: UUID | None = None, waits: bool = False) -> UUID:
    """Write intents down for a run (a new one by default); returns the run."""
    run_id = run_id or uuid4()
    with acting(store) as conn:
        outbox.add_intents(conn, intents, writing="plan", run_id=run_id, guarded_wait=waits)
    return run_id


def claim(store: ServerAddress, run_id: UUID, like: Intent, *, limit: int = 100, now: datetime = NOW) -> list[Claimed]:
    """Claim what there is of the phase, method and table of an intent."""
    return claim_counted(store, run_id, like, limit=limit, now=now)[0]


def claim_counted(
    store: ServerAddress, run_id: UUID, like: Intent, *, limit: int = 100, now: datetime = NOW
) -> tuple[list[Claimed], int]:
    """As `claim`, with how many were superseded instead."""
    with acting(store) as conn:
        return outbox.claim(conn, run_id, like.phase, (like.method, like.table_name), limit=limit, now=now)


def settle(
    store: ServerAddress, claimed: Sequence[Claimed], state: IntentState = IntentState.ACKNOWLEDGED, **words: Any
) -> None:
    with acting(store) as conn:
        outbox.settle(conn, [Settled(one.intent_id, state, **words) for one in claimed])


def deliver(store: ServerAddress, intent: Intent, state: IntentState = IntentState.ACKNOWLEDGED, **words: Any) -> UUID:
    """Add, claim and settle one intent in a run of its own; returns the run."""
    run_id = add(store, intent)
    claimed = claim(store, run_id, intent)
    assert len(claimed) == 1
    settle(store, claimed, state, **words)
    return run_id


def intents_of(store: ServerAddress, run_id: UUID) -> list[dict[str, Any]]:
    """The intents of a run as they stand, in the order written down."""
    found = query(store, "select * from intake.outbox_intent where run_id = :run order by intent_id", run=run_id)
    return [dict(row._mapping) for row in found]


def states_of(store: ServerAddress, run_id: UUID) -> list[str]:
    return [row["state"] for row in intents_of(store, run_id)]


def held_of(store: ServerAddress, intent: Intent) -> dict[str, Any] | None:
    """What the CRM is known to hold of an intent's row; None where no row is known."""
    found = query(
        store,
        "select columns from intake.crm_row where table_name = :table and row_id = :row",
        table=intent.table_name,
        row=intent.row_id,
    )
    return found[0].columns if found else None
