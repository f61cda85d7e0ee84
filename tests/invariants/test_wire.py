"""Above all: no raising request without its grant in the ledger, lowering first, contacts made shut; any history.

The checker itself is shown to notice what a client without scruples sends.
"""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given

from connectors.dataverse import TableName
from pipelines.operations.delivery import table_name
from schemas.tables import CONSENT, CONTACT
from tests.invariants.acts import T0, Act, Who, answer, facts_of
from tests.invariants.histories import examples, households
from tests.invariants.model import expected
from tests.invariants.wire import check_wire
from tests.invariants.world import OPTED_IN, OPTED_OUT, World, assert_holds

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
