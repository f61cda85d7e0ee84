"""Marketing lists that mirror a topic: on them by a grant, off them before anything is raised, and no consent by themselves."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from connectors.dataverse import DataverseClient
from connectors.store import narrow_calls
from connectors.store.retention_sql import DELETE_POINTS
from pipelines.operations.list_reading import MANY
from pipelines.operations.narrow_sync import serve_calls
from pipelines.operations.readback import read_back
from pipelines.operations.status import check_status
from schemas.policy import BlastRadius
from tests.invariants.acts import NOW, T0, Act, Who, answer
from tests.invariants.crm_hands import (
    assert_settled,
    consents_of,
    contact_of,
    events_at,
    merge_contacts,
    new_contact,
    set_crm_clock,
)
from tests.invariants.erasing import erase
from tests.invariants.world import OPTED_IN, OPTED_OUT, World, take_in

NEWS = UUID("5b6f1f0e-8a0a-4a57-9d2e-3f6f5a6f3001")
DAY = timedelta(days=1)


def address(name: str) -> str:
    return f"{name}@example.org"


def who(name: str) -> Who:
    return Who(address(name), "aino")


def choose(number: int, name: str, value: str = "Yes", *, days: int = 0) -> Act:
    """Chooses the topic or leaves it; another topic keeps the contact in either case."""
    return answer(number, who(name), T0 + days * DAY, training=value, rdi="Yes")


def make_list(world: World) -> None:
    """The CRM's people make the list."""
    row = {"listid": str(NEWS), "listname": "Training", "createdfromcode": 2, "type": False}
    world.emulator.control.seed({"lists": [row]})


@pytest.fixture
def listed(world: World) -> World:
    """A world whose policy mirrors one topic by a list."""
    policy = world.workspace.policy
    marketing = policy.crm.purposes["marketing"].model_copy(update={"lists": {"training": NEWS}})
    purposes = {**policy.crm.purposes, "marketing": marketing}
    world.with_policy(policy.model_copy(update={"crm": policy.crm.model_copy(update={"purposes": purposes})}))
    make_list(world)
    return world


def members(world: World) -> list[str]:
    return sorted(str(row["_entityid_value"]) for row in world.rows("listmembers"))


def contacts(world: World, *names: str) -> list[str]:
    return sorted(str(contact_of(world, address(name))["contactid"]) for name in names)


def steps(world: World, since: int) -> list[str]:
    """What was written, in its order: entity sets, methods of single rows, and the consent values among them."""
    found = []
    for entry in world.writes(since):
        told = [str(part["body"]) if part["body"] else part["method"] for part in entry.get("operations", [])]
        body = str(entry["body"]) if entry["body"] and not told else ""
        found.append(f"{entry['path']} {' '.join(told)} {body}")
    return found


def first(told: list[str], *words: str) -> int:
    return next(n for n, one in enumerate(told) if all(word in one for word in words))


def test_a_grant_of_the_topic_puts_on_the_list_after_its_consent_row_and_nothing_else_does(listed: World) -> None:
    listed.perform([choose(1, "aino"), choose(2, "kalle"), answer(3, who("maija"), T0, rdi="Yes")])
    told = steps(listed, listed.run().since)
    assert members(listed) == contacts(listed, "aino", "kalle")
    assert first(told, "AddListMembersList") > first(told, "msdynmkt_contactpointconsent4s", str(OPTED_IN))
    assert_settled(listed)


def test_a_withdrawal_takes_off_the_list_before_anything_is_raised_and_waits_for_nothing(listed: World) -> None:
    listed.perform([choose(n, name) for n, name in enumerate(("aino", "kalle", "maija"))])
    listed.run()
    acts = [choose(11, "aino", "No", days=1), answer(12, who("kalle"), T0 + DAY, stop="Yes"), choose(13, "new", days=1)]
    listed.perform(acts)
    told = steps(listed, listed.run().since)
    assert members(listed) == contacts(listed, "maija", "new")
    assert first(told, "DELETE") < first(told, "contacts/")
    assert_settled(listed)


def test_who_staff_took_off_the_list_wants_the_topic_no_more_until_they_say_so_again(listed: World) -> None:
    listed.perform([choose(1, "aino"), choose(2, "kalle")])
    listed.run()
    (aino,) = contacts(listed, "aino")
    row = next(row for row in listed.rows("listmembers") if row["_entityid_value"] == aino)
    listed.emulator.control.remove("listmembers", str(row["listmemberid"]))
    listed.run()
    assert events_at(listed, address("aino")) == [("marketing", "training", "withdraw", "staff")]
    assert consents_of(listed, address("aino"))["training"]["msdynmkt_value"] == OPTED_OUT
    assert consents_of(listed, address("kalle"))["training"]["msdynmkt_value"] == OPTED_IN
    assert_settled(listed)
    later = NOW + 2 * DAY
    listed.at(NOW + 3 * DAY).perform([answer(3, who("aino"), later, training="Yes")], at=later + timedelta(hours=1))
    listed.run()
    assert members(listed) == contacts(listed, "aino", "kalle")
    assert_settled(listed)


def test_being_on_a_list_is_no_consent_and_who_staff_put_there_is_left(listed: World) -> None:
    other = new_contact(listed, lastname="Other", emailaddress1=address("other"))
    bind = {"listid@odata.bind": f"/lists({NEWS})", "entityid_contact@odata.bind": f"/contacts({other})"}
    listed.emulator.control.seed({"listmembers": [bind]}, as_user="human")
    listed.perform([choose(1, "aino")])
    listed.run()
    assert members(listed) == sorted([other, *contacts(listed, "aino")])
    assert events_at(listed, address("other")) == []
    assert_settled(listed)


def test_lost_answers_and_a_bad_member_leave_every_other_on_the_list_once(listed: World) -> None:
    names = [f"person{number}" for number in range(6)]
    listed.perform([choose(n, name) for n, name in enumerate(names)])
    listed.emulator.control.faults({"kind": "cut", "path": "AddListMembersList", "after_commit": True})
    listed.run()
    assert members(listed) == contacts(listed, *names)
    listed.emulator.control.faults({"kind": "cut", "path": r"\$batch", "skip": 1, "after_commit": True})
    listed.perform([choose(20 + n, name, "No", days=1) for n, name in enumerate(names[:3])])
    listed.run()
    assert members(listed) == contacts(listed, *names[3:])
    joining = [choose(30 + n, name, days=2) for n, name in enumerate(names[:3])]
    (bad,) = contacts(listed, names[0])
    poison = {"kind": "poison", "table": "listmember", "column": "_entityid_value", "value": bad, "times": None}
    listed.emulator.control.faults({**poison, "status": 400, "code": "0x80040265"})
    listed.perform(joining)
    listed.run()
    assert members(listed) == contacts(listed, *names[1:])
    listed.emulator.control.clear_faults()
    listed.run()
    assert members(listed) == contacts(listed, *names)
    assert_settled(listed)


def test_a_merged_contact_stays_on_the_list_and_an_erased_one_does_not(listed: World) -> None:
    listed.perform([choose(1, "aino"), choose(2, "kalle")])
    listed.run()
    (loser,) = contacts(listed, "aino")
    master = new_contact(listed, lastname="Master", emailaddress1=address("aino"))
    merge_contacts(listed, master=master, loser=loser)
    listed.run()
    assert members(listed) == sorted([master, *contacts(listed, "kalle")])
    assert ("marketing", "training", "withdraw", "staff") not in events_at(listed, address("aino"))
    assert_settled(listed)
    _, in_crm = erase(listed, address("kalle"))
    assert in_crm.open == 0
    assert members(listed) == [master]


def take_off(world: World, name: str) -> None:
    """Staff take somebody's contact off the list."""
    (row_id,) = contacts(world, name)
    row = next(row for row in world.rows("listmembers") if row["_entityid_value"] == row_id)
    world.emulator.control.remove("listmembers", str(row["listmemberid"]))


def test_a_narrow_synchronisation_reads_who_was_taken_off_before_it_writes(listed: World) -> None:
    listed.perform([choose(1, "aino"), choose(2, "kalle")])
    listed.run()
    take_off(listed, "aino")
    take_off(listed, "kalle")
    call_for(listed, "aino")
    assert events_at(listed, address("aino")) == [("marketing", "training", "withdraw", "staff")]
    assert consents_of(listed, address("aino"))["training"]["msdynmkt_value"] == OPTED_OUT
    assert events_at(listed, address("kalle")) == [], "who nobody called for is a run's"
    listed.run()
    assert consents_of(listed, address("kalle"))["training"]["msdynmkt_value"] == OPTED_OUT
    assert_settled(listed)


def call_for(world: World, *names: str) -> None:
    """Have a narrow synchronisation serve these addresses."""
    statement = "select contact_point_id from intake.contact_point where address_key = any(:keys)"
    with world.workspace.transaction() as conn:
        found = conn.execute(text(statement), {"keys": [address(name) for name in names]})
        narrow_calls.call(conn, list(found.scalars()))
    assert serve_calls(world.workspace, world.crm).served == len(names)


def is_told(world: World) -> bool:
    """Whether people are told that something happened to the list."""
    return any("list of training" in alarm for alarm in check_status(world.session()).alarms)


@pytest.mark.parametrize("is_made_anew", [False, True])
def test_from_a_list_that_was_deleted_nobody_was_taken_off(listed: World, is_made_anew: bool) -> None:
    listed.perform([choose(1, "aino"), choose(2, "kalle")])
    listed.run()
    listed.emulator.control.remove("lists", str(NEWS))
    if is_made_anew:
        set_crm_clock(listed, datetime.now(UTC) + timedelta(hours=1))
        make_list(listed)
    assert members(listed) == []
    call_for(listed, "aino")
    listed.run()
    for name in ("aino", "kalle"):
        assert events_at(listed, address(name)) == []
        assert consents_of(listed, address(name))["training"]["msdynmkt_value"] == OPTED_IN
    assert is_told(listed)
    listed.perform([choose(3, "new", days=1)])
    listed.run()
    assert members(listed) == (contacts(listed, "aino", "kalle", "new") if is_made_anew else [])
    assert consents_of(listed, address("new"))["training"]["msdynmkt_value"] == OPTED_IN


def many(world: World) -> list[str]:
    """So many people on the list that staff would not take them off one by one."""
    names = [f"person{number}" for number in range(MANY)]
    world.perform([choose(number, name) for number, name in enumerate(names)])
    world.run()
    assert members(world) == contacts(world, *names)
    return names


def empty(world: World, names: Sequence[str]) -> None:
    """Staff take all of them off the list at once."""
    for name in names:
        take_off(world, name)


def assert_nobody_left(world: World, names: Sequence[str]) -> None:
    """They are on the list again, nobody withdrew anything, and people are told."""
    assert {len(events_at(world, address(name))) for name in names} == {0}
    assert members(world) == contacts(world, *names)
    assert is_told(world)
    assert_settled(world)


def test_a_list_that_lost_all_of_many_was_emptied_and_they_are_put_on_it_again(listed: World) -> None:
    names = many(listed)
    empty(listed, names)
    call_for(listed, names[0])
    assert members(listed) == contacts(listed, names[0])
    listed.run()
    assert_nobody_left(listed, names)
    listed.run()
    assert_nobody_left(listed, names)


def test_a_list_that_lost_many_but_one_was_not_emptied(listed: World) -> None:
    names = many(listed)
    empty(listed, names[1:])
    listed.run()
    assert [len(events_at(listed, address(name))) for name in names] == [0] + [1] * (MANY - 1)
    assert members(listed) == contacts(listed, names[0]) and not is_told(listed)
    assert_settled(listed)


def test_a_new_member_of_an_emptied_list_makes_nobody_else_leave_it(listed: World) -> None:
    names = many(listed)
    empty(listed, names)
    listed.perform([choose(MANY, "new", days=1)])
    listed.run()
    listed.run()
    assert_nobody_left(listed, [*names, "new"])


def test_who_a_click_puts_on_an_emptied_list_hides_from_no_run_that_it_was_emptied(listed: World) -> None:
    names = many(listed)
    empty(listed, names)
    listed.perform([choose(MANY, "new", days=1)])
    take_in(listed.session())
    call_for(listed, "new")
    assert members(listed) == contacts(listed, "new")
    listed.run()
    assert_nobody_left(listed, [*names, "new"])


def test_one_who_staff_put_back_on_an_emptied_list_makes_nobody_else_leave_it(listed: World) -> None:
    names = many(listed)
    (before,) = (row for row in listed.rows("listmembers") if row["_entityid_value"] in contacts(listed, names[0]))
    empty(listed, names)
    allowed = listed.workspace.policy
    crm = allowed.crm.model_copy(update={"blast_radius": BlastRadius(rows=1)})
    listed.with_policy(allowed.model_copy(update={"crm": crm})).run()
    assert members(listed) == [], "putting them on again is held back as any raising is"
    listed.emulator.control.seed({"listmembers": [_again(before)]})
    listed.with_policy(allowed).run()
    assert {len(events_at(listed, address(name))) for name in names} == {0}
    assert is_told(listed)


def test_that_a_list_was_emptied_is_told_for_a_week_whatever_retention_removes(listed: World) -> None:
    names = many(listed)
    empty(listed, names)
    listed.run()
    with listed.workspace.transaction() as conn:
        for statement in DELETE_POINTS:
            if "crm_finding" in statement:
                conn.execute(text(statement))
    assert is_told(listed)
    assert is_told(listed.at(NOW + 6 * DAY)) and not is_told(listed.at(NOW + 8 * DAY))


def _again(row: dict[str, Any]) -> dict[str, str]:
    return {
        "listid@odata.bind": f"/lists({row['_listid_value']})",
        "entityid_contact@odata.bind": f"/contacts({row['_entityid_value']})",
    }


class WhileListsAreRead:
    """The CRM's client, where something happens once as the members of a list have been read."""

    def __init__(self, crm: DataverseClient, happens: Callable[[], object]) -> None:
        self._crm, self._happens = crm, happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def iter_rows(self, table: Any, *arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
        rows = list(self._crm.iter_rows(table, *arguments, **options))
        if table.logical_name == "listmember":
            self._happens()
        return iter(rows)


def test_who_is_put_on_the_list_while_it_is_read_was_not_taken_off(listed: World) -> None:
    listed.perform([choose(1, "aino")])
    listed.run()
    listed.perform([choose(2, "kalle")])
    take_in(listed.session())

    def click() -> None:
        with listed.workspace.transaction() as conn:
            found = conn.execute(text("select contact_point_id from intake.contact_point where acked_version = 0"))
            narrow_calls.call(conn, list(found.scalars()))
        assert serve_calls(listed.workspace, listed.crm).served == 1

    read_back(listed.session(), WhileListsAreRead(listed.crm, click))  # type: ignore[arg-type]
    assert events_at(listed, address("kalle")) == []
    assert members(listed) == contacts(listed, "aino", "kalle")
    listed.run()
    assert_settled(listed)


def test_a_contact_deleted_after_contacts_were_read_was_taken_off_no_list(listed: World) -> None:
    listed.perform([choose(1, "aino")])
    listed.run()
    (aino,) = contacts(listed, "aino")

    class Deleting(WhileListsAreRead):
        def iter_rows(self, table: Any, *arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
            if table.logical_name == "listmember":
                self._happens()
            return self._crm.iter_rows(table, *arguments, **options)

    deleting = Deleting(listed.crm, lambda: listed.emulator.control.remove("contacts", aino))
    read_back(listed.session(), deleting)  # type: ignore[arg-type]
    assert events_at(listed, address("aino")) == []
    listed.run()
    assert listed.rows("contacts") == [] and events_at(listed, address("aino")) == []
