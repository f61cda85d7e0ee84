"""Each intent is sent by its method, once; a correction only where the row is as the CRM acknowledged it."""

from collections import Counter
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from connectors.store.address import ServerAddress
from pipelines.operations.workspace import Workspace
from schemas.intents import Intent, Method, Phase
from schemas.tables import CONTACT, REGISTRATION
from tests.delivery.memory_crm import MemoryCrm, deliver_all, held, known_row
from tests.outboxing import add, deliver, intents_of, states_of


@pytest.mark.parametrize("method", [Method.UPSERT, Method.LOWER, Method.DELETE])
def test_each_method_goes_its_own_way_with_key_and_columns(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, method: Method
) -> None:
    columns = {} if method is Method.DELETE else intent.columns
    run_id = add(store, replace(intent, method=method, columns=columns))
    report = deliver_all(workspace, crm, run_id)
    assert crm.written() == [(str(method), CONTACT.logical_name, [str(intent.row_id)])]
    assert crm.asked_in_bulk == {method is Method.UPSERT}
    assert held(crm, intent) == (None if method is Method.DELETE else intent.columns)
    assert report.counts == Counter(acknowledged=1, superseded=0)
    (row,) = intents_of(store, run_id)
    assert (row["state"], row["status"], row["request_id"]) == ("acknowledged", 204, f"request {intent.row_id}")


def test_a_correction_goes_with_the_etag_of_a_row_that_is_as_acknowledged(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    correction = known_row(store, crm, intent, lastname="Old", firstname="Aino")
    report = deliver_all(workspace, crm, add(store, correction), Phase.CORRECTIONS)
    assert crm.etags == [f"etag of {intent.row_id}"]
    assert held(crm, intent) == {"lastname": "Toinen", "firstname": "Aino"}
    assert report.counts["acknowledged"] == 1


@pytest.mark.parametrize("change", ["Edited", "Zero", None])
def test_a_correction_of_a_row_that_is_not_as_acknowledged_is_a_conflict_and_not_sent(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent, change: str | None
) -> None:
    """Edited to what comes before or after the known value, or gone."""
    correction = known_row(store, crm, intent, lastname="Old")
    other = known_row(store, crm, replace(intent, row_id=uuid4()), lastname="Old")
    if change is None:
        del crm.rows[intent.table_name, str(intent.row_id)]
    else:
        crm.rows[intent.table_name, str(intent.row_id)]["lastname"] = change
    run_id = add(store, correction, other)
    report = deliver_all(workspace, crm, run_id, Phase.CORRECTIONS)
    assert crm.written() == [("patch", CONTACT.logical_name, [str(other.row_id)])]
    told = [(row["state"], row["code"]) for row in intents_of(store, run_id)]
    assert told == [("conflict", "edited_or_gone"), ("acknowledged", None)]
    assert report.counts == Counter(conflict=1, acknowledged=1, superseded=0)


def test_an_edit_of_another_column_is_no_conflict(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    correction = known_row(store, crm, intent, lastname="Old", firstname="Aino")
    crm.rows[intent.table_name, str(intent.row_id)]["firstname"] = "Edited"
    deliver_all(workspace, crm, add(store, correction), Phase.CORRECTIONS)
    assert held(crm, intent) == {"lastname": "Toinen", "firstname": "Edited"}


def test_what_somebody_set_where_nothing_was_known_is_a_conflict(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    correction = known_row(store, crm, intent, firstname="Aino")
    crm.rows[intent.table_name, str(intent.row_id)]["lastname"] = "Edited"
    run_id = add(store, correction)
    deliver_all(workspace, crm, run_id, Phase.CORRECTIONS)
    assert states_of(store, run_id) == ["conflict"]


def test_a_bound_row_is_compared_as_it_reads(
    store: ServerAddress, workspace: Workspace, crm: MemoryCrm, intent: Intent
) -> None:
    bind = "msevtmgt_ContactId@odata.bind"
    old, new = ({bind: f"/contacts({UUID(int=n)})"} for n in (1, 2))
    registration = replace(intent, table_name=REGISTRATION.logical_name, columns=old)
    deliver(store, registration)
    key = (REGISTRATION.logical_name, str(intent.row_id))
    crm.rows[key] = {"_msevtmgt_contactid_value": str(UUID(int=1))}
    moved = replace(registration, phase=Phase.REGISTRATIONS, method=Method.PATCH, columns=new)
    run_id = add(store, moved)
    deliver_all(workspace, crm, run_id, Phase.REGISTRATIONS)
    assert states_of(store, run_id) == ["acknowledged"]
