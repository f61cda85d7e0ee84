"""An address's phases go one after the other, and what has failed holds back the raises that stand on it."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from connectors.store.address import ServerAddress
from schemas.intents import Intent, IntentState, Phase
from schemas.tables import CONSENT
from tests.outboxing import add, claim, claim_counted, execute, intents_of, make_address, settle

FAILED = [IntentState.REFUSED, IntentState.CONFLICT]
FLAG = {"phase": Phase.FLAGS, "columns": {"donotbulkemail": False}}
CLEARING = {"phase": Phase.CLEARS, "columns": {"mobilephone": None}, "is_raising": False}


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
