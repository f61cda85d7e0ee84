"""The column of the preference link is ours alone: what anybody else puts there is put right, and holds nothing back."""

from datetime import timedelta

import pytest

from pipelines.operations.reconciliation import reconcile
from schemas.policy import Owner
from tests.invariants.acts import T0, Who, answer, sign_up
from tests.invariants.crm_hands import (
    assert_settled,
    contact_of,
    edit_contact,
    merge_contacts,
    new_contact,
    set_crm_clock,
)
from tests.invariants.test_crm_edits import own
from tests.invariants.world import World

AINO, MAIJA = Who("aino@example.org", "aino"), Who("maija@example.org", "maija")
LINK = "crmi_preferencelink"
DAY = timedelta(days=1)


def link_of(world: World, who: Who) -> str | None:
    return contact_of(world, who.key).get(LINK)


@pytest.fixture
def linked(world: World) -> str:
    """Aino and Maija have the newsletter; the link of Aino."""
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    world.run()
    set_crm_clock(world, T0 + 2 * DAY)
    return str(link_of(world, AINO))


@pytest.mark.parametrize("put", ["https://example.net/", None, "the other's"])
def test_a_link_that_staff_changed_is_put_right_and_their_other_edit_stays(
    world: World, linked: str, put: str | None
) -> None:
    own(world, lastname=Owner.CRM)
    edit_contact(world, AINO.key, lastname="Human", **{LINK: link_of(world, MAIJA) if put == "the other's" else put})
    world.run()
    assert link_of(world, AINO) == linked
    assert contact_of(world, AINO.key)["lastname"] == "Human"
    assert_settled(world)


def test_a_link_changed_between_plan_and_write_makes_no_conflict_that_returns(world: World, linked: str) -> None:
    edit_contact(world, AINO.key, **{LINK: "https://example.net/"})
    world.workspace.keys.rotate("link")
    world.perform([answer(3, AINO, T0 + DAY, training="Yes")])
    ran = world.run()
    assert "conflict" not in {state for report in ran.sync.phases.values() for state in report.counts}
    assert str(link_of(world, AINO)).startswith(linked.rpartition("/")[0])
    assert_settled(world)


def test_a_link_in_a_contact_that_the_crm_had_is_replaced_when_it_is_adopted(world: World) -> None:
    row_id = new_contact(world, emailaddress1=AINO.address, firstname="Aino", lastname="Virtanen", **{LINK: "theirs"})
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert contact_of(world, AINO.key)["contactid"] == row_id
    assert str(link_of(world, AINO)).startswith("https://")
    assert_settled(world)


def test_a_link_of_the_contact_that_survived_a_merge_is_replaced(world: World, linked: str) -> None:
    desk = new_contact(world, emailaddress1=AINO.address, firstname="Desk", **{LINK: "theirs"})
    loser = next(row["contactid"] for row in world.rows("contacts") if row.get(LINK) == linked)
    merge_contacts(world, master=desk, loser=loser)
    world.run()
    assert contact_of(world, AINO.key)["contactid"] == desk
    assert str(link_of(world, AINO)).startswith("https://")
    assert_settled(world)


def test_a_changed_link_goes_with_the_newsletter(world: World, linked: str) -> None:
    edit_contact(world, AINO.key, **{LINK: "https://example.net/"})
    world.perform([answer(3, AINO, T0 + 3 * DAY, stop="Yes")])
    world.run()
    assert "https://example.net/" not in {row.get(LINK) for row in world.rows("contacts")}
    assert_settled(world)
    assert reconcile(world.session(), world.crm).unexplained == []
