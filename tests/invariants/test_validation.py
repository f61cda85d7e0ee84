"""A row that the CRM could not take is refused before the first call, with its column and fault; the others land."""

from sqlalchemy import text

from pipelines.operations.sync import sync_crm
from tests.invariants.acts import T0, Who, answer
from tests.invariants.wire import check_wire, sent_rows
from tests.invariants.world import World, take_in

LONG = "maximiliana" * 6  # 66 letters; the CRM's given names have at most 50.


def test_a_row_that_is_too_long_is_refused_locally_and_its_neighbours_land_in_one_call(world: World) -> None:
    world.perform([answer(n, Who(f"person{n}@example.org", "aino"), T0, newsletter="Yes") for n in range(3)])
    session = world.session()
    take_in(session)
    with world.owner.begin() as conn:
        # What intake lets through fits the columns as shipped; this CRM's are shorter than what the store has.
        conn.execute(
            text(
                "update intake.person set given_name = :name where contact_point_id = (select contact_point_id"
                " from intake.contact_point where address_key = 'person1@example.org')"
            ),
            {"name": LONG},
        )
    since = world.emulator.control.last_sequence()
    world.syncs.append(since)
    sync_crm(session, world.crm)
    refused = world.query("select table_name, code, status from intake.outbox_intent where state = 'refused'")
    assert [tuple(row) for row in refused] == [("contact", "local:firstname:too_long", None)]
    sent = list(sent_rows(world.requests(since)))
    assert LONG not in str([one.columns for one in sent]).lower()
    bulk = [entry for entry in world.writes(since) if entry["path"].startswith("contacts/")]
    assert [(entry["status"], len(entry["body"]["Targets"])) for entry in bulk] == [(204, 2)]
    assert {address for address, _ in world.holds().contacts} == {"person0@example.org", "person2@example.org"}
    check_wire(world)
