"""What the CRM says decides what an intent becomes; a lost answer is looked up before anything else is sent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest

from connectors.dataverse import TableName
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from pipelines.operations.delivery import DeliveryReport, table_name
from pipelines.operations.workspace import Workspace
from schemas.errors import CrmUnavailable
from schemas.intents import Intent, IntentState, Method
from schemas.tables import CONTACT
from tests.delivery.memory_crm import MemoryCrm, deliver_all, held, known_row
from tests.outboxing import add, execute, held_of, intents_of, states_of


@pytest.mark.parametrize("fate", ["refused", "conflict"])
def test_what_the_crm_will_not_take_is_kept_with_its_code_and_the_rest_goes(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, fate: str
) -> None:
    other = replace(intent, row_id=uuid4())
    crm.fates[str(intent.row_id)] = [fate]
    run_id = add(store, intent, other)
    report = deliver_all(workspace, crm, run_id)
    told = [(row["state"], row["status"], row["code"], row["request_id"]) for row in intents_of(store, run_id)]
    assert told == [(fate, 400, f"code of {fate}", "r"), ("acknowledged", 204, None, f"request {other.row_id}")]
    assert report.counts == Counter({fate: 1, "acknowledged": 1, "superseded": 0})
    assert held_of(store, intent) is None


@pytest.mark.parametrize(("fate", "times"), [("lost after", 1), ("lost before", 2), ("not executed", 2)])
def test_a_lost_answer_is_looked_up_and_only_what_did_not_happen_is_sent_again(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, fate: str, times: int
) -> None:
    crm.fates[str(intent.row_id)] = [fate]
    run_id = add(store, intent)
    report = deliver_all(workspace, crm, run_id)
    assert len(crm.written()) == times
    assert (held(crm, intent), held_of(store, intent)) == (intent.columns, intent.columns)
    assert states_of(store, run_id) == ["acknowledged"]
    assert report.counts == Counter(acknowledged=1, superseded=0)
    reads = [call for call in crm.calls if call[0] == "fetch"]
    assert reads == ([] if fate == "not executed" else [("fetch", CONTACT.logical_name, [str(intent.row_id)])])


@pytest.mark.parametrize(("fate", "times"), [("lost after", 1), ("lost before", 2)])
def test_a_lost_deletion_is_looked_up_too(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, fate: str, times: int
) -> None:
    known_row(store, crm, intent, lastname="Old")
    crm.fates[str(intent.row_id)] = [fate]
    run_id = add(store, replace(intent, method=Method.DELETE, columns={}))
    deliver_all(workspace, crm, run_id)
    assert len(crm.written()) == times
    assert (held(crm, intent), held_of(store, intent)) == (None, None)


@pytest.mark.parametrize("firstname", ["Aamu", "Other"])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_row_that_is_there_otherwise_has_not_been_written_unless_nothing_else_can_have_made_it(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, firstname: str, is_known: bool
) -> None:
    both = replace(intent, columns={"lastname": "Toinen", "firstname": "Aino"})
    if is_known:
        known_row(store, crm, intent, lastname="Toinen", firstname=firstname)
    crm.rows[intent.table_name, str(intent.row_id)] = {"lastname": "Toinen", "firstname": firstname}
    crm.fates[str(intent.row_id)] = ["lost before"]
    deliver_all(workspace, crm, add(store, both))
    assert len(crm.written()) == (2 if is_known else 1), "somebody changed what we made: the read-back is to see it"


def test_what_is_put_back_is_looked_up_in_the_ledger_once_more(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    """Between the lost answer and the second try the address moves on."""

    class Moving(MemoryCrm):
        def fetch_rows(
            self, table: TableName, ids: Sequence[str], select: Sequence[str]
        ) -> dict[str, dict[str, object]]:
            execute(store, "update intake.contact_point set version = 2 where contact_point_id = :a", a=address)
            return super().fetch_rows(table, ids, select)

    address = intent.contact_point_id
    moving = Moving(fates={str(intent.row_id): ["lost before"]})
    run_id = add(store, intent)
    report = deliver_all(workspace, moving, run_id)
    assert len(moving.written()) == 1
    assert [(row["state"], row["code"]) for row in intents_of(store, run_id)] == [("superseded", "address_changed")]
    assert report.counts == Counter(superseded=1)


def test_answers_that_keep_being_lost_end_the_run_with_nothing_sent_beyond_measure(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    crm.fates[str(intent.row_id)] = ["lost before"] * 99
    run_id = add(store, intent)
    with pytest.raises(CrmUnavailable, match="run again"):
        deliver_all(workspace, crm, run_id)
    assert len(crm.written()) == 20
    assert states_of(store, run_id) == ["pending"]


def test_an_answer_that_comes_at_the_last_try_is_in_time(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    crm.fates[str(intent.row_id)] = ["lost before"] * 18
    run_id = add(store, intent)
    assert deliver_all(workspace, crm, run_id).counts["acknowledged"] == 1
    assert len(crm.written()) == 19


def test_a_report_counts_what_is_settled_and_what_is_set_aside() -> None:
    report = DeliveryReport()
    report.add([Settled(1, IntentState.REFUSED), Settled(2, IntentState.PENDING)], 3)
    report.add([Settled(3, IntentState.REFUSED)], 1)
    assert report.counts == Counter(refused=2, superseded=4)


def test_a_table_is_named_as_the_crm_names_it() -> None:
    assert table_name("contact") == TableName("contacts", "contact", "contactid")
