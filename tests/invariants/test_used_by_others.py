"""A contact that others use is never deleted by us: the CRM would delete their cases with it."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.commands.running import predict
from pipelines.operations.retention import retain
from pipelines.operations.sessions import Session
from schemas.errors import RaisingRefused
from schemas.intents import Intent
from schemas.records import Window
from tests.invariants.acts import NOW, T0, Who, answer, register, sign_up
from tests.invariants.crm_hands import (
    assert_settled,
    contact_of,
    contacts_of,
    merge_contacts,
    new_contact,
    set_crm_clock,
)
from tests.invariants.world import FIRST_ON, World

AINO = Who("aino@example.org", "aino")
KALLE = Who("kalle@example.org", "kalle")
MAIJA = Who("maija@example.org", "maija")
IS_OVER = T0 + timedelta(days=1000)


def open_case(world: World, contact_id: str, *, as_user: str = "human") -> None:
    case = {"title": "Invoice", "customerid_contact@odata.bind": f"/contacts({contact_id})"}
    world.emulator.control.seed({"incidents": [case]}, as_user=as_user)


def contact(world: World, row_id: str) -> dict[str, Any]:
    return next(row for row in world.rows("contacts") if row["contactid"] == row_id)


@pytest.fixture
def used(world: World) -> str:
    """Aino, for whom staff opened a case, and Kalle were on a course; she has left the newsletter that she had."""
    world.perform([register(1, AINO, T0), sign_up(2, AINO, T0), register(3, KALLE, T0)])
    world.run()
    row_id = str(contact_of(world, AINO.key)["contactid"])
    open_case(world, row_id)
    world.perform([answer(4, AINO, NOW - timedelta(days=1), stop="Yes")], at=NOW)
    world.run()
    return row_id


def test_it_is_cleared_lowered_and_given_to_its_owner_and_its_cases_stay(world: World, used: str) -> None:
    world.at(IS_OVER)
    set_crm_clock(world, IS_OVER)
    world.run()
    left = contact(world, used)
    assert left["donotbulkemail"] is True
    assert not {"firstname", "lastname", "mobilephone", "emailaddress1", "crmi_preferencelink"} & left.keys()
    assert len(world.rows("incidents")) == 1
    assert contacts_of(world, KALLE.key) == [], "whom nobody uses"
    (task,) = world.rows("tasks")
    assert task["_regardingobjectid_value"] == used and "aino" not in str(task).lower()
    assert task["scheduledend"].startswith(f"{IS_OVER + timedelta(days=14):%Y-%m-%d}")
    assert_settled(world)
    assert len(world.rows("tasks")) == 1


def test_retention_leaves_it_too_and_forgets_the_person_once_it_is_cleared(world: World, used: str) -> None:
    world.at(IS_OVER)
    set_crm_clock(world, IS_OVER)
    retain(Session(world.workspace), world.crm)
    assert "lastname" not in contact(world, used) and len(world.rows("incidents")) == 1
    retain(Session(world.workspace), world.crm)
    assert world.query("select given_name from intake.person") == []


def test_who_comes_back_has_it_again(world: World, used: str) -> None:
    world.at(IS_OVER)
    set_crm_clock(world, IS_OVER)
    world.run()
    world.perform([sign_up(7, AINO, IS_OVER)], at=IS_OVER)
    world.at(IS_OVER + timedelta(days=1)).run()
    assert contact(world, used)["lastname"] == "Virtanen" and contact(world, used)["donotbulkemail"] is False
    assert_settled(world)


def test_a_plan_only_foretold_gives_no_task(world: World, used: str) -> None:
    world.at(IS_OVER)
    planned: list[Intent] = []
    predict(world.session(), [], Window(FIRST_ON, IS_OVER.date()), planned)
    deleted = {intent.row_id for intent in planned if intent.method == "delete" and intent.table_name == "contact"}
    assert used not in {str(row_id) for row_id in deleted} and len(deleted) == 1
    assert world.rows("tasks") == []


def test_where_it_cannot_be_read_nothing_is_deleted_and_lowering_goes(world: World, used: str) -> None:
    world.at(IS_OVER)
    forbidden = {"kind": "error", "path": "incidents", "status": 403, "code": "0x80040220", "times": None}
    world.emulator.control.faults(forbidden)
    with pytest.raises(RaisingRefused, match="incident"):
        world.run()
    assert contact(world, used)["donotbulkemail"] is True and contact(world, used)["lastname"] == "Virtanen"
    world.emulator.control.clear_faults()
    world.run()
    assert "lastname" not in contact(world, used) and len(world.rows("incidents")) == 1


def test_where_its_owner_cannot_be_told_nothing_is_deleted_and_lowering_goes(world: World, used: str) -> None:
    world.perform([sign_up(8, MAIJA, T0)])
    world.run()
    world.perform([answer(9, MAIJA, IS_OVER, stop="Yes")], at=IS_OVER)
    world.at(IS_OVER + timedelta(days=1))
    # The writing alone: the tasks are looked at before, as what may lead to a contact.
    path = "tasks/Microsoft.Dynamics.CRM.UpsertMultiple"
    refuses = {"kind": "error", "path": path, "status": 403, "code": "0x80040220", "times": None}
    world.emulator.control.faults(refuses)
    with pytest.raises(RaisingRefused, match="was not taken"):
        world.run()
    assert contact(world, used)["lastname"] == "Virtanen" and world.rows("tasks") == []
    assert contact_of(world, MAIJA.key)["donotbulkemail"] is True
    world.emulator.control.clear_faults()
    world.run()
    assert "lastname" not in contact(world, used) and len(world.rows("tasks")) == 1


def test_one_that_staff_merged_away_and_that_still_has_a_case_is_not_deleted_either(world: World, used: str) -> None:
    desk = new_contact(world, emailaddress1=AINO.address, firstname="Desk")
    merge_contacts(world, master=desk, loser=used)
    world.run()
    # The merge took the cases along; this one was opened afterwards, from an old list.
    open_case(world, used)
    world.at(IS_OVER)
    set_crm_clock(world, IS_OVER)
    world.run()
    left = contact(world, used)
    assert not {"firstname", "lastname", "mobilephone", "emailaddress1", "crmi_preferencelink"} & left.keys()
    assert len(world.rows("incidents")) == 2
    assert used in {task["_regardingobjectid_value"] for task in world.rows("tasks")}
    assert_settled(world)
    assert len([task for task in world.rows("tasks") if task["_regardingobjectid_value"] == used]) == 1


def test_one_that_staff_merged_away_and_nobody_uses_goes_whole(world: World, used: str) -> None:
    desk = new_contact(world, emailaddress1=AINO.address, firstname="Desk")
    merge_contacts(world, master=desk, loser=used)
    world.at(IS_OVER)
    set_crm_clock(world, IS_OVER)
    world.run()
    assert used not in {row["contactid"] for row in world.rows("contacts")}
    assert_settled(world)
