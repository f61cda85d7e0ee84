"""What an earlier run left without an answer is looked up, and never sent for that run."""

from dataclasses import replace
from uuid import uuid4

import pytest

from connectors.store.address import ServerAddress
from pipelines.operations.delivery import recover
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace
from schemas.intents import Intent, Method
from schemas.tables import CONSENT, CONTACT
from tests.delivery.memory_crm import MemoryCrm, chunked
from tests.outboxing import add, claim, deliver, states_of


def test_what_another_run_left_without_an_answer_is_looked_up_in_chunks_by_table(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    done = [replace(intent, row_id=uuid4()) for _ in range(3)]
    consent = replace(intent, row_id=uuid4(), table_name=CONSENT.logical_name, columns={"msdynmkt_reason": "r"})
    run_id = add(store, *done, consent)
    claim(store, run_id, intent)
    claim(store, run_id, consent)
    for one in done[:2]:
        crm.rows[one.table_name, str(one.row_id)] = dict(one.columns)
    found = recover(Session(chunked(workspace, 2)), crm)
    assert found == 4
    assert states_of(store, run_id) == ["acknowledged", "acknowledged", "superseded", "superseded"]
    ids = [str(one.row_id) for one in done]
    assert crm.calls == [
        ("fetch", CONTACT.logical_name, ids[:2]),
        ("fetch", CONTACT.logical_name, ids[2:]),
        ("fetch", CONSENT.logical_name, [str(consent.row_id)]),
    ]


@pytest.mark.parametrize(("method", "is_known"), [(Method.UPSERT, False), (Method.UPSERT, True), (Method.LOWER, False)])
def test_of_what_was_left_behind_only_a_row_that_it_alone_can_have_made_may_hold_anything_by_now(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, method: Method, is_known: bool
) -> None:
    if is_known:
        deliver(store, replace(intent, columns={"lastname": "Old"}))
    crm.rows[intent.table_name, str(intent.row_id)] = {"lastname": "Edited"}
    left = replace(intent, method=method)
    run_id = add(store, left)
    claim(store, run_id, left)
    recover(Session(workspace), crm)
    is_made = method is Method.UPSERT and not is_known
    assert states_of(store, run_id) == ["acknowledged" if is_made else "superseded"]


def test_with_nothing_left_behind_there_is_nothing_to_recover(
    workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    assert recover(Session(workspace), crm) == 0
    assert crm.calls == []
