"""A plan that met somebody else's edit is made anew, unless it waits for approval."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from connectors.store import outbox
from connectors.store.address import ServerAddress
from schemas.intents import Intent, IntentState, Method, Phase
from tests.merging import acting
from tests.outboxing import add, execute


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
