"""A contact into which staff merged those of several people is one person's to show at a time, and nobody's data stays
in it, or goes from it, with another's."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pipelines.operations.retention import retain
from pipelines.operations.sessions import Session
from tests.invariants.acts import NOW, T0, Who, answer, ask, register, sign_up
from tests.invariants.crm_hands import (
    assert_settled,
    consents_of,
    contact_of,
    contacts_of,
    is_opted_in,
    merge_contacts,
    registrations_of,
    set_crm_clock,
)
from tests.invariants.erasing import erase, traces
from tests.invariants.wire import check_wire
from tests.invariants.world import World

DAY = timedelta(days=1)
AINO, KALLE, MAIJA = (Who(f"{name}@example.org", name) for name in ("aino", "kalle", "maija"))
EVENT_IS_OVER = T0 + timedelta(days=91)


@pytest.fixture
def shared(world: World) -> str:
    """Aino was at an event, and staff merged the contacts of Kalle and Maija, who want the newsletter, into hers."""
    world.with_mapping("courses", kind="event_registration")
    world.perform([register(1, AINO, T0), sign_up(2, KALLE, T0), sign_up(3, MAIJA, T0)])
    world.run()
    row_id = str(contact_of(world, AINO.key)["contactid"])
    set_crm_clock(world, T0 + 2 * DAY)
    for who in (KALLE, MAIJA):
        merge_contacts(world, master=row_id, loser=str(contact_of(world, who.key)["contactid"]))
    world.run()
    return row_id


def contact(world: World, row_id: str) -> dict[str, Any]:
    """The contact as the CRM has it."""
    return next(row for row in world.rows("contacts") if row["contactid"] == row_id)


def moved_on(world: World, at: datetime) -> None:
    """Retention runs at a time; its requests are held against the ledger by themselves."""
    world.at(at)
    set_crm_clock(world, at)
    since = world.emulator.control.last_sequence()
    world.syncs.append(since)
    retain(Session(world.workspace), world.crm)
    world.syncs.append(world.emulator.control.last_sequence())
    check_wire(world, since=since)


def test_while_its_own_person_is_there_it_is_theirs_alone(world: World, shared: str) -> None:
    row = contact(world, shared)
    assert (row["firstname"], row["emailaddress1"]) == ("Aino", AINO.key)
    assert row["donotbulkemail"] is True, "she did not ask for the newsletter"
    assert_settled(world)


def test_it_is_handed_on_instead_of_deleted_and_nothing_of_who_left_stays(world: World, shared: str) -> None:
    moved_on(world, EVENT_IS_OVER)
    row = contact(world, shared)
    heir = KALLE if row["emailaddress1"] == KALLE.key else MAIJA
    assert (row["firstname"], row["emailaddress1"]) == (heir.given.title(), heir.key)
    assert row["donotbulkemail"] is False and is_opted_in(world, heir.key)
    assert traces(world, AINO.key) == set()
    assert_settled(world)


def test_it_opens_for_nobody_but_who_shows_it(world: World, shared: str) -> None:
    world.perform([answer(7, MAIJA, NOW - DAY, stop="Yes")], at=NOW - DAY)
    world.run()
    moved_on(world, EVENT_IS_OVER)
    row = contact(world, shared)
    assert (row["emailaddress1"], row["donotbulkemail"]) == (KALLE.key, False)
    assert consents_of(world, MAIJA.key)[""]["msdynmkt_value"] != consents_of(world, KALLE.key)[""]["msdynmkt_value"]
    world.perform([answer(8, KALLE, EVENT_IS_OVER, stop="Yes")], at=EVENT_IS_OVER)
    world.at(EVENT_IS_OVER + DAY)
    world.run()
    assert contacts_of(world, KALLE.key) == [], "and with the last one it goes"
    assert_settled(world)


def test_who_comes_back_shows_it_again(world: World, shared: str) -> None:
    moved_on(world, EVENT_IS_OVER)
    world.perform([ask(9, AINO, EVENT_IS_OVER)], at=EVENT_IS_OVER)
    world.at(EVENT_IS_OVER + DAY)
    world.run()
    assert contact_of(world, AINO.key)["donotbulkemail"] is True
    assert_settled(world)


@pytest.mark.parametrize("who", [AINO, KALLE])
def test_erasing_one_of_them_leaves_the_others_theirs(world: World, shared: str, who: Who) -> None:
    world.perform([register(4, MAIJA, T0, course="LK4")])
    world.run()
    assert len(registrations_of(world, shared)) == 2
    since = world.emulator.control.last_sequence()
    world.syncs.append(since)
    erase(world, who.key)
    world.run()
    check_wire(world, since=since)
    assert traces(world, who.key) == set()
    shown = {row["emailaddress1"] for row in world.rows("contacts") if row["statecode"] == 0}
    assert shown == ({MAIJA.key} if who is AINO else {AINO.key}) or shown == {KALLE.key}
    row_id = next(row["contactid"] for row in world.rows("contacts") if row["statecode"] == 0)
    assert len(registrations_of(world, row_id)) == (1 if who is AINO else 2)
    assert_settled(world)
