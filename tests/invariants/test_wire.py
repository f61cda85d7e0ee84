"""Above all: no raising request without its grant in the ledger, lowering first, contacts made shut; any history.

The checker itself is shown to notice what a client without scruples sends.
"""

import time
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given

from connectors.dataverse import DataverseClient, TableName
from pipelines.operations.delivery import table_name
from pipelines.operations.workspace import dataverse_settings
from schemas.tables import CONSENT, CONTACT
from tests.invariants.acts import T0, Act, Who, answer, facts_of
from tests.invariants.histories import examples, households
from tests.invariants.model import expected
from tests.invariants.wire import check_wire, sent_rows
from tests.invariants.world import CONSENTS as CONSENTS_SET
from tests.invariants.world import OPTED_IN, OPTED_OUT, World, assert_holds, take_in

CONTACTS, CONSENTS = table_name(CONTACT.logical_name), table_name(CONSENT.logical_name)


@examples(2)
@given(history=households())
def test_every_request_of_any_history_is_justified_by_the_ledger(one_world: World, history: list[list[Act]]) -> None:
    world = one_world.reset()
    seen: list[Act] = []
    for half in (0, 1):
        acts = [act for household in history for act in household[half::2]]
        seen += acts
        world.perform(acts)
        world.run()
        assert_holds(world, expected(facts_of(seen), now=world.now))
    check_wire(world)
    assert not world.writes(world.run().since), "a second run writes nothing"


def send(world: World, table: TableName, **columns: Any) -> str:
    """What no run of ours would send, by our own client; returns the row's id."""
    row_id = str(columns.pop("row_id", uuid4()))
    (result,) = world.crm.upsert_many(table, [{table.primary_key: row_id, **columns}])
    assert result.outcome == "acknowledged"
    return row_id


def consent(world: World, value: int) -> dict[str, Any]:
    purpose = world.workspace.policy.crm.purposes["marketing"].purpose_id
    return {
        "msdynmkt_contactpointvalue": "aino@example.org",
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": value,
        "msdynmkt_source": 534120003,
        "msdynmkt_logicalreason": 534119999,
        "msdynmkt_reason": "test",
        "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({purpose})",
    }


def test_the_checker_notices_an_opt_in_without_a_grant(world: World) -> None:
    world.syncs = [0]
    send(world, CONSENTS, **consent(world, OPTED_IN))
    with pytest.raises(AssertionError, match="without a grant"):
        check_wire(world)


def test_the_checker_notices_a_contact_that_is_made_open(world: World) -> None:
    world.syncs = [0]
    send(world, CONTACTS, emailaddress1="aino@example.org", donotbulkemail=False, followemail=False)
    with pytest.raises(AssertionError, match="made shut"):
        check_wire(world)


def test_the_checker_notices_somebody_for_whom_no_purpose_lives(world: World) -> None:
    world.syncs = [0]
    send(world, CONTACTS, emailaddress1="aino@example.org", donotbulkemail=True, followemail=False)
    with pytest.raises(AssertionError, match="no purpose lives"):
        check_wire(world)


def test_the_checker_notices_what_is_lowered_after_something_was_raised(world: World) -> None:
    world.perform([answer(1, Who("aino@example.org", "aino"), T0, newsletter="Yes")])
    world.run()
    check_wire(world)
    send(world, CONSENTS, **consent(world, OPTED_OUT))
    with pytest.raises(AssertionError, match="before all was lowered"):
        check_wire(world)


def test_a_withdrawal_while_a_claimed_opt_in_waits_at_the_crms_limits_stops_it(world: World) -> None:
    staying, leaving = Who("staying@example.org", "aino"), Who("leaving@example.org", "maija")
    granted = [answer(1, staying, T0, newsletter="Yes"), answer(2, leaving, T0, newsletter="Yes")]
    left = answer(3, leaving, T0.replace(day=12), stop="Yes")
    told: list[int] = []

    def sleep(seconds: float) -> None:
        """The first wait is at the gate; it is then that the person acts."""
        if not told:
            told.append(world.emulator.control.last_sequence())
            world.perform([left])
            take_in(world.session())
        time.sleep(seconds)

    in_bulk = rf"{CONSENTS.entity_set}/.*UpsertMultiple"
    throttled = {"kind": "throttle", "path": in_bulk, "skip": 1, "retry_after": "1"}
    world.emulator.control.faults(throttled)
    plain, world.crm = world.crm, DataverseClient(
        dataverse_settings(world.settings, world.workspace.policy), sleep=sleep
    )  # fmt: skip
    try:
        world.perform(granted)
        world.run()
        after = [one for one in sent_rows(world.requests(told[0])) if one.is_raising and one.set_name == CONSENTS_SET]
        assert {one.columns["msdynmkt_contactpointvalue"] for one in after} == {staying.address}
        world.run()
    finally:
        world.crm.close()
        world.crm = plain
    check_wire(world)
    assert_holds(world, expected(facts_of([*granted, left]), now=world.now))
