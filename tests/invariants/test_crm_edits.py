"""People and the pipeline write the same rows: no human edit is lost, nobody deleted comes back, merges are followed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.store import outbox
from pipelines.operations.delivery import deliver_phase, table_name
from pipelines.operations.sync import as_writer, close, prepare
from pipelines.operations.workspace import dataverse_settings
from schemas.errors import CrmMisconfigured
from schemas.intents import Method, Phase
from schemas.policy import Owner
from schemas.tables import CONTACT
from tests.invariants.acts import NOW, T0, Act, Who, answer, register, sign_up
from tests.invariants.crm_hands import (
    INACTIVE,
    OPTED_OUT,
    PREFERENCE_PAGE,
    assert_settled,
    consents_of,
    contact_of,
    contacts_of,
    delete_contact,
    edit_consent,
    edit_contact,
    events_at,
    is_opted_in,
    merge_contacts,
    new_consent,
    new_contact,
    reconciled,
    registrations_of,
    set_crm_clock,
)
from tests.invariants.world import REGISTRATIONS, World, take_in

DAY = timedelta(days=1)
COURSES = "courses"


def address(name: str) -> str:
    return f"{name}@example.org"


def who(name: str) -> Who:
    return Who(address(name), "aino")


def enrol(world: World, *names: str, at: Any = T0) -> list[Act]:
    """Everybody registers for a course and signs up; what the CRM's people do next is two days later."""
    acts = [act for n, name in enumerate(names) for act in (register(n, who(name), at), sign_up(n, who(name), at))]
    world.perform(acts)
    world.run()
    set_crm_clock(world, T0 + 2 * DAY)
    return acts


def own(world: World, **owners: Owner) -> None:
    policy = world.workspace.policy
    ownership = {**policy.crm.ownership, **owners}
    world.with_policy(policy.model_copy(update={"crm": policy.crm.model_copy(update={"ownership": ownership})}))


def test_a_name_set_right_in_the_crm_stands_until_the_person_says_it_again(world: World) -> None:
    names = ["right", "phone", "empty", "again", "ours", "theirs"]
    acts = enrol(world, *names)
    for name in ("right", "again", "ours", "theirs"):
        edit_contact(world, address(name), lastname="Human", jobtitle="Planner")
    edit_contact(world, address("phone"), mobilephone="+447700900199")
    edit_contact(world, address("empty"), lastname=None)
    older = [sign_up(50 + n, who(name), T0 + DAY) for n, name in enumerate(names)]
    granting = [answer(60 + n, who(name), T0 + DAY, training="Yes") for n, name in enumerate(names)]
    world.perform([*acts, *older, *granting])
    world.run()
    assert {contact_of(world, address(name)).get("lastname") for name in ("right", "again", "ours", "theirs")} == {
        "Human"
    }
    assert contact_of(world, address("phone"))["mobilephone"] == "+447700900199"
    assert "lastname" not in contact_of(world, address("empty"))
    assert all(is_opted_in(world, address(name)) for name in names), "an edit blocks nothing else"
    assert_settled(world)
    own(world, lastname=Owner.CRM)
    world.perform([sign_up(80, who("theirs"), T0 + 3 * DAY)])
    world.run()
    own(world, lastname=Owner.NEWEST)
    world.perform([sign_up(81, who("again"), T0 + 3 * DAY)])
    world.run()
    assert contact_of(world, address("theirs"))["lastname"] == "Human"
    assert contact_of(world, address("again"))["lastname"] == "Virtanen"
    own(world, lastname=Owner.INTAKE)
    world.perform([sign_up(82, who("ours"), T0 + DAY)])
    world.run()
    assert contact_of(world, address("ours"))["lastname"] == "Virtanen"
    assert contact_of(world, address("right"))["lastname"] == "Human", "nothing was said of this one since"


def test_an_address_changed_in_the_crm_carries_withdrawals_and_no_grant(world: World) -> None:
    enrol(world, "granted", "withdrew")
    world.perform([answer(70, who("withdrew"), T0 + DAY, stop="Yes")])
    world.run()
    edit_contact(world, address("granted"), emailaddress1=address("granted.new"))
    edit_contact(world, address("withdrew"), emailaddress1=address("withdrew.new"))
    world.run()
    assert contact_of(world, address("granted.new"))["donotbulkemail"] is True
    assert events_at(world, address("granted.new")) == []
    assert consents_of(world, address("granted"))[""]["msdynmkt_value"] != OPTED_OUT, "that address did not withdraw"
    assert ("marketing", "", "withdraw", "staff") in events_at(world, address("withdrew.new"))
    assert consents_of(world, address("withdrew.new"))[""]["msdynmkt_value"] == OPTED_OUT
    assert_settled(world)


def test_a_merge_in_the_crm_is_followed_and_no_write_goes_to_the_loser(world: World) -> None:
    names = ["same", "apart", "flagged", "into"]
    acts = enrol(world, *names)
    world.perform([answer(70, who("apart"), T0 + DAY, newsletter="No")])
    world.run()
    desk = {name: new_contact(world, emailaddress1=address(name), firstname="Desk") for name in ("same", "flagged")}
    losers = {name: str(contact_of(world, address(name), "aino")["contactid"]) for name in names}
    merge_contacts(world, master=desk["same"], loser=losers["same"], lastname="Chosen")
    world.emulator.control.edit("contacts", desk["flagged"], {"donotbulkemail": True})
    merge_contacts(world, master=desk["flagged"], loser=losers["flagged"])
    merge_contacts(world, master=losers["into"], loser=losers["apart"])
    world.run()
    since = world.emulator.control.last_sequence()
    assert dict(world.query("select row_id::text, state from intake.crm_link")) == {
        desk["same"]: "merged",
        desk["flagged"]: "merged",
        losers["into"]: "merged",
    }
    master = next(row for row in world.rows("contacts") if row["contactid"] == desk["same"])
    assert (master["firstname"], master["lastname"], master["donotbulkemail"]) == ("Desk", "Chosen", False)
    assert len(registrations_of(world, desk["same"])) == 1
    assert len(registrations_of(world, losers["into"])) == 2
    assert not is_opted_in(world, address("flagged")), "the survivor forbade it"
    assert not is_opted_in(world, address("into")), "the most restrictive of both addresses"
    world.perform([*acts, *(register(20 + n, who(name), T0 + DAY, course="LK2") for n, name in enumerate(names))])
    world.run()
    assert len(registrations_of(world, desk["same"])) == 2
    assert len(registrations_of(world, losers["into"])) == 4
    written = str([(entry["path"], entry.get("operations")) for entry in world.writes(since)])
    assert not any(losers[name] in written for name in ("same", "flagged", "apart"))
    assert_settled(world)


def test_a_registration_that_passes_to_another_person_stays_in_the_crm(world: World) -> None:
    kalle = Who(address("kalle"), "kalle")
    world.perform([register(1, who("aino"), T0), register(2, who("aino"), T0, course="LK2")])
    world.run()
    world.perform([register(1, kalle, T0, changed_at=T0 + DAY)])
    world.run()
    assert len(registrations_of(world, contact_of(world, kalle.key)["contactid"])) == 1
    assert len(registrations_of(world, contact_of(world, address("aino"))["contactid"])) == 1
    assert_settled(world)
    world.perform([register(2, kalle, T0, course="LK2", changed_at=T0 + DAY)])
    world.run()
    assert len(registrations_of(world, contact_of(world, kalle.key)["contactid"])) == 2
    assert contacts_of(world, address("aino")) == [], "and with her last one her contact goes"
    assert_settled(world)


def test_a_contact_deleted_in_the_crm_is_not_made_again_unless_the_person_acts_anew(world: World) -> None:
    acts = enrol(world, "gone", "returns", "kept")
    gone = [delete_contact(world, address(name)) for name in ("gone", "returns")]
    kept = str(contact_of(world, address("kept"))["contactid"])
    world.emulator.control.remove(REGISTRATIONS, str(registrations_of(world, kept)[0]["msevtmgt_eventregistrationid"]))
    edit_contact(world, address("kept"), **INACTIVE)
    world.run()
    assert reconciled(world).unexplained == []
    older = [register(30 + n, who(name), T0 + DAY, course="LK2") for n, name in enumerate(["gone", "returns"])]
    world.perform([*acts, *older])
    world.run()
    assert [row["contactid"] for row in world.rows("contacts")] == [kept]
    assert world.rows(REGISTRATIONS) == [], "nor the registration that was deleted"
    assert world.rows("contacts")[0]["statecode"] == 1, "nor is one that was put away brought back"
    assert_settled(world)
    world.at(NOW + 2 * DAY)
    world.perform([register(40, who("returns"), NOW + DAY, course="LK3")], at=NOW + DAY)
    world.run()
    assert {row["contactid"] for row in world.rows("contacts")} == {kept, gone[1]}
    assert contacts_of(world, address("gone")) == []
    assert_settled(world)


Hand = Callable[[World, str], None]


def _opts_out(world: World, name: str) -> None:
    if consents_of(world, address(name)):
        edit_consent(world, address(name), msdynmkt_value=OPTED_OUT, msdynmkt_source=PREFERENCE_PAGE)
    else:
        new_consent(world, address(name), value=OPTED_OUT, source=PREFERENCE_PAGE)


def _merges(world: World, name: str) -> None:
    desk = contact_of(world, address(name), "desk")
    merge_contacts(world, master=desk["contactid"], loser=contact_of(world, address(name), "aino")["contactid"])


HANDS: dict[str, Hand] = {
    "renames": lambda world, name: _ignored(edit_contact(world, address(name), firstname="Hand", mobilephone="+4411")),
    "opts_out": _opts_out,
    "forbids": lambda world, name: _ignored(edit_contact(world, address(name), donotemail=True)),
    "puts_away": lambda world, name: _ignored(edit_contact(world, address(name), **INACTIVE)),
    "deletes": lambda world, name: _ignored(delete_contact(world, address(name))),
    "merges": _merges,
}
CHANGES: dict[str, Callable[[int, Who], Act]] = {
    "moves": lambda no, one: register(no, one, T0, changed_at=T0 + DAY).written(Phone="+447700900155"),
    "grants": lambda no, one: answer(100 + no, one, T0 + DAY, newsletter="Yes"),
    "leaves": lambda no, one: answer(200 + no, one, T0 + DAY, stop="Yes"),
    "cancels": lambda no, one: register(no, one, T0, status="out", changed_at=T0 + DAY),
    "joins": lambda no, one: register(300 + no, one, T0 + DAY, course="LK2"),
}


def _ignored(_: str) -> None:
    """The id that an act gave is of no use here."""


def interrupted_run(world: World, between: Callable[[], None]) -> None:
    """A run in which something happens in the CRM after the plan and before the first write."""
    session = world.session()
    take_in(session)
    with as_writer(session):
        prepare(session, world.crm)
        between()
        for phase in Phase:
            deliver_phase(session, world.crm, phase)
        close(session)


def test_f13_what_people_do_between_plan_and_write_is_neither_lost_nor_undone(world: World) -> None:
    cases = {f"{change}.{hand}": (n, change, hand) for n, (change, hand) in enumerate(_pairs())}
    first = [register(n, who(name), T0) for name, (n, _, _) in cases.items()]
    first += [sign_up(n, who(name), T0) for name, (n, change, _) in cases.items() if change != "grants"]
    first += [
        register(500 + n, who(name), T0, course="LK0") for name, (n, change, _) in cases.items() if change == "cancels"
    ]
    world.perform(first)
    world.run()
    for name, (_, _, hand) in cases.items():
        if hand == "merges":
            new_contact(world, emailaddress1=address(name), firstname="Desk", donotbulkemail=False)
    set_crm_clock(world, T0 + 2 * DAY)
    ids = {name: str(contact_of(world, address(name), "aino")["contactid"]) for name in cases}
    world.perform([CHANGES[change](n, who(name)) for name, (n, change, _) in cases.items()])
    interrupted_run(world, lambda: [HANDS[hand](world, name) for name, (_, _, hand) in cases.items()] and None)
    assert world.query("select count(*) > 0 from intake.outbox_intent where state = 'conflict'") == [(True,)]
    world.perform(first)
    world.run()
    rows = {row["contactid"]: row for row in world.rows("contacts")}
    for name, (_, change, hand) in cases.items():
        _check_case(world, name, change, hand, rows.get(ids[name]))
    assert_settled(world)


def _pairs() -> list[tuple[str, str]]:
    return [(change, hand) for change in CHANGES for hand in HANDS]


def _check_case(world: World, name: str, change: str, hand: str, row: dict[str, Any] | None) -> None:
    if hand == "deletes":
        assert row is None, f"{name}: nobody deleted is made again"
        assert contacts_of(world, address(name)) == []
        return
    assert row is not None, name
    if hand == "renames":
        assert (row["firstname"], row["mobilephone"]) == ("Hand", "+4411"), name
    if hand in ("opts_out", "forbids") or change == "leaves":
        assert not is_opted_in(world, address(name)), name
    if hand == "puts_away":
        assert row["statecode"] == 1, name
    if hand == "merges":
        assert row["merged"] is True
        master = contact_of(world, address(name), "desk")["contactid"]
        assert registrations_of(world, row["contactid"]) == [], name
        assert len(registrations_of(world, master)) == (2 if change in ("joins", "cancels") else 1), name


def test_an_edit_of_a_contact_whose_making_was_never_answered_is_not_lost(world: World) -> None:
    world.perform([register(1, who("made"), T0)])
    session, group = world.session(), (Method.UPSERT, CONTACT.logical_name)
    take_in(session)
    with as_writer(session):
        prepare(session, world.crm)
        deliver_phase(session, world.crm, Phase.LOWERING)
        with session.transaction() as conn:
            (claimed,), _ = outbox.claim(conn, session.run_id, Phase.CONTACTS, group, limit=9, now=session.now)
        row = {"contactid": str(claimed.row_id), **claimed.columns}
        assert world.crm.upsert_many(table_name(CONTACT.logical_name), [row])[0].outcome == "acknowledged"
    set_crm_clock(world, T0 + 2 * DAY)
    edit_contact(world, address("made"), lastname="Human", mobilephone="+4411")
    world.run()
    made = contact_of(world, address("made"))
    assert (made["lastname"], made["mobilephone"]) == ("Human", "+4411")
    assert_settled(world)


def test_f13_a_column_that_vanishes_or_a_plug_in_that_throws_costs_no_edit_and_no_lowering(world: World) -> None:
    enrol(world, "leaves", "renamed", "thrown", "moves")
    world.perform(
        [
            answer(90, who("leaves"), T0 + DAY, stop="Yes"),
            *(register(n, who(name), T0 + DAY, course="LK2") for n, name in ((91, "renamed"), (92, "moves"))),
            register(93, who("thrown"), T0 + DAY, course="LK9"),
        ]
    )
    vanished = {
        "kind": "error",
        "method": "POST",
        "path": "^msevtmgt_eventregistrations/",
        "status": 400,
        "code": "0x0",
    }

    def between() -> None:
        edit_contact(world, address("renamed"), lastname="Hand")
        world.emulator.control.faults({**vanished, "times": 9})

    with pytest.raises(CrmMisconfigured):
        interrupted_run(world, between)
    assert not is_opted_in(world, address("leaves")), "lowered before anything stopped"
    world.emulator.control.clear_faults()
    thrown = {
        "kind": "poison",
        "table": "msevtmgt_event",
        "column": "msevtmgt_name",
        "value": "Course LK9",
        "times": None,
    }
    world.emulator.control.faults(thrown)
    world.run()
    assert contact_of(world, address("renamed"))["lastname"] == "Hand"
    assert not is_opted_in(world, address("leaves"))
    assert len(registrations_of(world, str(contact_of(world, address("moves"))["contactid"]))) == 2
    world.emulator.control.clear_faults()
    world.run()
    assert len(registrations_of(world, str(contact_of(world, address("thrown"))["contactid"]))) == 2
    assert_settled(world)


def test_f13_an_edit_between_plan_and_write_holds_back_nothing_beyond_the_run(world: World) -> None:
    """Somebody edits the contact that a run is about to correct: the same run reads that and sends the rest."""
    world.perform([register(1, who("edited"), T0)])
    world.run()
    granted = answer(93, who("edited"), T0 + DAY, newsletter="Yes")
    moved = register(1, who("edited"), T0, changed_at=T0 + DAY).written(Phone="+447700900155")
    world.perform([granted, moved])

    class Edited(type(world.crm)):  # type: ignore[misc]
        """Somebody is faster than the first correction."""

        def fetch_rows(self, table: Any, ids: Any, select: Any) -> Any:
            found = super().fetch_rows(table, ids, select)
            if table.logical_name == CONTACT.logical_name and world.crm is self:
                world.crm = plain
                set_crm_clock(world, T0 + 4 * DAY)
                edit_contact(world, address("edited"), mobilephone="+4411")
            return found

    plain = world.crm
    world.crm = Edited(dataverse_settings(world.settings, world.workspace.policy))
    ran = world.run()
    assert ran.sync.phases["corrections"].counts["conflict"] == 1
    edited = contact_of(world, address("edited"))
    assert edited["mobilephone"] == "+4411"
    assert edited["donotbulkemail"] is False, "what stood on the correction went in the same run"
    assert world.query("select count(*) from intake.contact_point where version > acked_version") == [(0,)]
    assert_settled(world)
