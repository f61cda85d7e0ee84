"""Images: what the CRM was known to hold before each acknowledged write, kept with the intent and forgotten in time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from connectors.store import outbox
from connectors.store.address import ServerAddress
from schemas.intents import Intent, IntentState, Method, Phase
from tests.merging import acting
from tests.outboxing import NOW, add, claim, deliver, execute, held_of, intents_of, make_address, make_intent, settle

KNOWN = {"lastname": "Ensimmäinen", "donotbulkemail": True}


@pytest.fixture
def known(store: ServerAddress) -> Intent:
    """A correction of a row of which two columns are known."""
    intent = make_intent(make_address(store))
    deliver(store, replace(intent, phase=Phase.CONTACTS, method=Method.UPSERT, columns=KNOWN))
    return intent


def image(store: ServerAddress, run_id: UUID) -> Any:
    (row,) = intents_of(store, run_id)
    return row["before"]


def test_a_new_row_has_nothing_before_it(store: ServerAddress) -> None:
    assert image(store, deliver(store, make_intent(make_address(store), method=Method.UPSERT))) is None


def test_the_image_holds_the_written_columns_as_they_were_known(store: ServerAddress, known: Intent) -> None:
    run_id = deliver(store, replace(known, columns={"lastname": "Toinen", "firstname": "Aino"}))
    assert image(store, run_id) == {"lastname": "Ensimmäinen", "firstname": None}
    assert held_of(store, known) == {**KNOWN, "lastname": "Toinen", "firstname": "Aino"}


def test_the_image_of_a_deleted_row_is_all_that_was_known(store: ServerAddress, known: Intent) -> None:
    run_id = deliver(store, replace(known, method=Method.DELETE, columns={}))
    assert image(store, run_id) == KNOWN
    assert held_of(store, known) is None


@pytest.mark.parametrize("state", [IntentState.REFUSED, IntentState.CONFLICT, IntentState.SUPERSEDED])
def test_a_write_that_was_not_acknowledged_has_no_image(
    store: ServerAddress, known: Intent, state: IntentState
) -> None:
    assert image(store, deliver(store, known, state)) is None
    assert held_of(store, known) == KNOWN


def test_a_second_answer_to_one_intent_changes_neither_the_image_nor_what_is_known(
    store: ServerAddress, known: Intent
) -> None:
    run_id = add(store, known)
    claimed = claim(store, run_id, known)
    settle(store, claimed)
    deliver(store, replace(known, columns={"lastname": "Kolmas"}))
    settle(store, claimed)
    settle(store, claimed, IntentState.REFUSED, code="late")
    (row,) = intents_of(store, run_id)
    assert (row["state"], row["before"], row["code"]) == ("acknowledged", {"lastname": "Ensimmäinen"}, None)
    assert held_of(store, known) == {**KNOWN, "lastname": "Kolmas"}


# Forgetting.


def purge(store: ServerAddress, **changes: Any) -> int:
    with acting(store) as conn:
        return outbox.purge_images(conn, **{"before": NOW + timedelta(seconds=1), "now": NOW, **changes})


def only(intent: Intent) -> dict[str, Any]:
    return {"contact_point_ids": [intent.contact_point_id]}


def test_what_is_forgotten_keeps_its_columns_names_and_its_outcome(store: ServerAddress, known: Intent) -> None:
    run_id = deliver(store, known, status=204, request_id="r1")
    purge(store, **only(known))
    (row,) = intents_of(store, run_id)
    assert (row["columns"], row["before"], row["purged_at"]) == ({"lastname": None}, None, NOW)
    assert (row["state"], row["status"], row["request_id"]) == ("acknowledged", 204, "r1")


def test_a_deletion_is_forgotten_too(store: ServerAddress, known: Intent) -> None:
    run_id = deliver(store, replace(known, method=Method.DELETE, columns={}))
    purge(store, **only(known))
    (row,) = intents_of(store, run_id)
    assert (row["columns"], row["before"]) == ({}, None)


@pytest.mark.parametrize("state", [IntentState.REFUSED, IntentState.CONFLICT, IntentState.SUPERSEDED])
def test_what_did_not_come_through_is_forgotten_too(store: ServerAddress, known: Intent, state: IntentState) -> None:
    run_id = deliver(store, known, state)
    purge(store, **only(known))
    assert [row["columns"] for row in intents_of(store, run_id)] == [{"lastname": None}]


def test_what_is_finished_later_is_kept(store: ServerAddress, known: Intent) -> None:
    run_id = deliver(store, known)
    assert purge(store, before=NOW, **only(known)) == 0
    assert [row["columns"] for row in intents_of(store, run_id)] == [{"lastname": "Toinen"}]


@pytest.mark.parametrize("state", ["waiting", "pending", "claimed"])
def test_what_is_still_to_be_sent_is_kept(store: ServerAddress, known: Intent, state: str) -> None:
    run_id = add(store, known, waits=state == "waiting")
    if state == "claimed":
        claim(store, run_id, known)
    purge(store, **only(known))
    assert [(row["columns"], row["purged_at"]) for row in intents_of(store, run_id)] == [({"lastname": "Toinen"}, None)]


def test_what_was_never_claimed_is_forgotten_by_when_it_was_set_aside(store: ServerAddress, known: Intent) -> None:
    run_id = add(store, known)
    execute(
        store,
        "update intake.outbox_intent set state = 'superseded', finished_at = :at where run_id = :run",
        at=NOW,
        run=run_id,
    )
    purge(store, before=NOW, **only(known))
    assert [row["purged_at"] for row in intents_of(store, run_id)] == [None]
    purge(store, **only(known))
    assert [row["purged_at"] for row in intents_of(store, run_id)] == [NOW]


def test_an_erasure_forgets_the_images_of_its_addresses_only(store: ServerAddress, known: Intent) -> None:
    other = make_intent(make_address(store))
    runs = [deliver(store, intent) for intent in (known, other)]
    assert purge(store, **only(known)) == 2
    assert [intents_of(store, run)[0]["purged_at"] for run in runs] == [NOW, None]


def test_forgetting_twice_forgets_nothing_more(store: ServerAddress, known: Intent) -> None:
    deliver(store, known)
    assert purge(store) >= 1
    assert purge(store, now=NOW + timedelta(days=1)) == 0
