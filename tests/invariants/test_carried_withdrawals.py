"""A withdrawal at one address of a contact holds at its others, whether it comes before a merge or after, by whatever door."""

from datetime import timedelta
from itertools import permutations

import pytest

from pipelines.operations.acts import record_acts
from pipelines.operations.narrow_sync import serve_calls
from tests.invariants.acts import NOW, T0, Who, answer, register, sign_up
from tests.invariants.crm_hands import (
    assert_settled,
    contact_of,
    edit_contact,
    events_at,
    is_opted_in,
    merge_contacts,
    new_contact,
    set_crm_clock,
)
from tests.invariants.test_acts import make_act, states
from tests.invariants.wire import check_wire
from tests.invariants.world import World

DAY = timedelta(days=1)
OLD, NEW = Who("aino.old@example.org", "aino"), Who("aino.new@example.org", "aino")
MAIJA = Who(NEW.address, "maija")
BATCHES = "select count(*) from intake.batch where feed = 'dataverse_readback'"


@pytest.fixture
def twice(world: World) -> World:
    """Aino signed up at two addresses, at one of them for a course too, and has two contacts."""
    world.perform([sign_up(1, OLD, T0), sign_up(2, NEW, T0), register(7, OLD, T0)])
    world.run()
    set_crm_clock(world, T0 + 3 * DAY)
    return world


def merge(world: World, *, loser: Who = OLD, master: str | None = None) -> None:
    """Staff merge a contact into that of the new address, or into another."""
    into = master or str(contact_of(world, NEW.key)["contactid"])
    merge_contacts(world, master=into, loser=str(contact_of(world, loser.key)["contactid"]))
    world.run()


def say_no(world: World, who: Who = OLD) -> None:
    """A file comes with a no of the day after T0."""
    world.perform([answer(3, who, T0 + DAY, newsletter="No")], at=T0 + 4 * DAY)
    world.run()


def serve(world: World) -> None:
    """Serve calls until none is left."""
    taken = 1
    while taken:
        world.syncs.append(world.emulator.control.last_sequence())
        taken = serve_calls(world.workspace, world.crm).taken


@pytest.mark.parametrize("steps", list(permutations([merge, say_no])))
def test_a_no_holds_at_both_addresses_of_a_merged_contact_whenever_its_file_comes(
    twice: World, steps: tuple[object, ...]
) -> None:
    for step in steps:
        step(twice)  # type: ignore[operator]
    assert not is_opted_in(twice, OLD.key)
    assert not is_opted_in(twice, NEW.key)
    known = twice.query(BATCHES)
    assert_settled(twice)
    assert twice.query(BATCHES) == known, "what was carried along is not carried again"
    check_wire(twice)
    twice.perform([sign_up(4, NEW, T0 + 5 * DAY)], at=T0 + 6 * DAY)
    twice.run()
    assert is_opted_in(twice, NEW.key), "a later yes is one"
    assert not is_opted_in(twice, OLD.key)


def test_a_click_on_an_old_link_after_the_merge_is_told_of_both_addresses_at_once(twice: World) -> None:
    merge(twice)
    since = twice.emulator.control.last_sequence()
    record_acts(twice.session(), None, [make_act("withdraw", address=OLD.address)])
    serve(twice)
    assert not is_opted_in(twice, NEW.key)
    check_wire(twice, since=since)
    twice.run()
    assert_settled(twice)


@pytest.mark.parametrize("is_earlier", [True, False])
def test_of_several_people_whose_contacts_became_one_each_speaks_for_themselves_from_then_on(
    twice: World, is_earlier: bool
) -> None:
    kalle = Who("kalle@example.org", "kalle")
    twice.perform([sign_up(8, kalle, T0)])
    twice.run()
    merge(twice, loser=kalle)
    at = T0 + DAY if is_earlier else T0 + 4 * DAY
    twice.perform([answer(9, kalle, at, newsletter="No")], at=T0 + 5 * DAY)
    twice.run()
    assert is_opted_in(twice, NEW.key) is not is_earlier, "had it come in time, it would have gone along with the merge"
    assert_settled(twice)


def test_a_yes_at_the_other_address_after_the_no_stands(twice: World) -> None:
    merge(twice)
    twice.perform([sign_up(4, NEW, T0 + 2 * DAY)])
    say_no(twice)
    assert is_opted_in(twice, NEW.key)
    assert_settled(twice)


def test_a_no_after_a_merge_into_a_contact_not_ours_holds_at_its_address(twice: World) -> None:
    merge(twice, master=new_contact(twice, lastname="Master", emailaddress1="desk@example.org"))
    say_no(twice)
    assert ("marketing", "", "withdraw", "staff") in events_at(twice, "desk@example.org")
    assert is_opted_in(twice, NEW.key)
    assert_settled(twice)


def test_what_was_carried_along_does_not_come_back_to_others_at_the_address_it_came_from(twice: World) -> None:
    twice.perform([sign_up(5, MAIJA, T0)])
    twice.run()
    aino = str(contact_of(twice, NEW.key, "aino")["contactid"])
    merge(twice, master=aino)
    say_no(twice, MAIJA)
    assert states(twice, OLD.key)["marketing", ""] == "withdrawn"
    twice.perform([sign_up(6, MAIJA, T0 + 5 * DAY)], at=T0 + 6 * DAY)
    twice.run()
    assert states(twice, NEW.key)["marketing", ""] == "granted", "Aino said nothing there, and Maija yes again"


@pytest.mark.parametrize("is_borne_first", [True, False])
@pytest.mark.parametrize("ends", ["a yes", "another address"])
def test_a_contact_of_ours_is_shut_while_an_address_beside_its_main_one_is_suppressed(
    twice: World, is_borne_first: bool, ends: str
) -> None:
    if is_borne_first:
        edit_contact(twice, NEW.key, emailaddress2=OLD.address)
        twice.run()
    say_no(twice)
    if not is_borne_first:
        edit_contact(twice, NEW.key, emailaddress2=OLD.address.upper())
        twice.run()
    assert contact_of(twice, NEW.key)["donotbulkemail"] is True
    assert states(twice, NEW.key)["marketing", ""] == "granted", "nothing was said at that address"
    assert_settled(twice)
    twice.perform([sign_up(4, NEW, T0 + 5 * DAY)], at=NOW)
    twice.run()
    assert contact_of(twice, NEW.key)["donotbulkemail"] is True
    if ends == "a yes":
        twice.perform([sign_up(8, OLD, T0 + 5 * DAY)], at=NOW)
    else:
        edit_contact(twice, NEW.key, emailaddress2="aino@example.org")
    twice.run()
    assert contact_of(twice, NEW.key)["donotbulkemail"] is False
    assert_settled(twice)
    check_wire(twice)


def test_a_click_shuts_a_contact_of_ours_that_bears_the_address_beside_its_main_one_at_once(twice: World) -> None:
    edit_contact(twice, NEW.key, emailaddress3=OLD.address)
    twice.run()
    record_acts(twice.session(), None, [make_act("withdraw", address=OLD.address)])
    serve(twice)
    assert contact_of(twice, NEW.key)["donotbulkemail"] is True
    twice.run()
    assert_settled(twice)
