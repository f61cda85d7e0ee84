"""Contacts that staff merged away: what we wrote of them goes when its purposes end, and a merge that is taken back
gives each their own again."""

from datetime import timedelta
from typing import Any

from tests.invariants.acts import NOW, T0, Who, answer, register, sign_up
from tests.invariants.crm_hands import (
    INACTIVE,
    assert_settled,
    contact_of,
    events_at,
    is_opted_in,
    merge_contacts,
    new_contact,
    registrations_of,
    set_crm_clock,
)
from tests.invariants.world import World

DAY = timedelta(days=1)
AINO = Who("aino@example.org", "aino")
KALLE = Who("kalle@example.org", "kalle")
ACTIVE = {"statecode": 0, "statuscode": 1}


def contact(world: World, row_id: str) -> dict[str, Any]:
    """The contact as the CRM has it."""
    return next(row for row in world.rows("contacts") if row["contactid"] == row_id)


def test_of_a_contact_not_ours_that_was_merged_away_what_we_wrote_goes_with_the_last_purpose(world: World) -> None:
    known = new_contact(world, firstname="Aino", lastname="Virtanen", emailaddress1=AINO.key, jobtitle="Dean")
    world.perform([register(1, AINO, T0)])
    world.run()
    assert contact(world, known)["mobilephone"] == "+447700900111"
    master = new_contact(world, lastname="Master", emailaddress1="desk@example.org")
    merge_contacts(world, master=master, loser=known)
    world.run()
    assert contact(world, known)["mobilephone"] == "+447700900111", "while the purpose lives it may stay"
    assert_settled(world)
    world.at(T0 + timedelta(days=1000))
    world.run()
    left = contact(world, known)
    assert "mobilephone" not in left
    assert (left["firstname"], left["jobtitle"], left["statecode"]) == ("Aino", "Dean", 1), "the rest is theirs"
    assert_settled(world)


def test_what_staff_set_right_before_or_after_merging_it_away_is_theirs(world: World) -> None:
    known = [new_contact(world, firstname="Aino", emailaddress1=f"person{n}@example.org") for n in range(2)]
    world.perform([register(n, Who(f"person{n}@example.org", "aino"), T0) for n in range(2)])
    world.run()
    master = new_contact(world, lastname="Master", emailaddress1="desk@example.org")
    world.emulator.control.edit("contacts", known[0], {"mobilephone": "+358401"})
    for row_id in known:
        merge_contacts(world, master=master, loser=row_id)
    world.run()
    world.emulator.control.edit("contacts", known[1], {"mobilephone": "+358402"})
    world.at(T0 + timedelta(days=1000))
    world.run()
    assert [contact(world, row_id)["mobilephone"] for row_id in known] == ["+358401", "+358402"]
    assert all("lastname" not in contact(world, row_id) for row_id in known), "which we wrote"
    assert_settled(world)


def test_a_merge_that_is_taken_back_gives_each_their_own(world: World) -> None:
    world.perform([register(1, AINO, T0), sign_up(2, AINO, T0), sign_up(3, KALLE, T0)])
    world.run()
    set_crm_clock(world, T0 + 2 * DAY)
    aino, kalle = (str(contact_of(world, who.key)["contactid"]) for who in (AINO, KALLE))
    merge_contacts(world, master=kalle, loser=aino)
    world.run()
    assert len(registrations_of(world, kalle)) == 1
    world.emulator.control.edit("contacts", aino, ACTIVE)
    world.run()
    assert contact(world, aino)["emailaddress1"] == AINO.key
    assert contact(world, kalle)["emailaddress1"] == KALLE.key
    assert len(registrations_of(world, aino)) == 1 and registrations_of(world, kalle) == []
    assert_settled(world)
    world.perform([answer(4, AINO, NOW - DAY, stop="Yes")], at=NOW)
    world.at(NOW + DAY).run()
    assert contact(world, aino)["donotbulkemail"] is True, "it is suppressed as every contact with the address is"
    assert is_opted_in(world, KALLE.key)
    assert_settled(world)
    merge_contacts(world, master=kalle, loser=aino)
    world.run()
    assert contact(world, aino)["statecode"] == INACTIVE["statecode"]
    assert len(registrations_of(world, kalle)) == 1, "and merged again it is followed again"
    assert_settled(world)


def test_shut_by_staff_as_the_merge_is_taken_back_it_is_not_opened(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    set_crm_clock(world, T0 + 2 * DAY)
    aino = str(contact_of(world, AINO.key)["contactid"])
    master = new_contact(world, lastname="Master", emailaddress1="desk@example.org")
    merge_contacts(world, master=master, loser=aino)
    world.run()
    world.emulator.control.edit("contacts", aino, {**ACTIVE, "donotbulkemail": True})
    world.run()
    assert ("marketing", "", "withdraw", "staff") in events_at(world, AINO.key)
    assert not is_opted_in(world, AINO.key)
    assert_settled(world)


def test_a_contact_not_ours_that_is_split_off_again_is_let_go_and_heeds_a_withdrawal(world: World) -> None:
    known = new_contact(world, firstname="Aino", emailaddress1=AINO.key, donotbulkemail=False)
    world.perform([register(1, AINO, T0), sign_up(2, AINO, T0)])
    world.run()
    master = new_contact(world, lastname="Master", emailaddress1="desk@example.org")
    merge_contacts(world, master=master, loser=known)
    world.run()
    world.emulator.control.edit("contacts", known, ACTIVE)
    world.run()
    assert "mobilephone" not in contact(world, known), "the person's contact is the master"
    assert_settled(world)
    world.perform([answer(3, AINO, NOW - DAY, stop="Yes")], at=NOW)
    world.at(NOW + DAY).run()
    assert contact(world, known)["donotbulkemail"] is True
    assert_settled(world)
