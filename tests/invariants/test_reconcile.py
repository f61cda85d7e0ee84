"""Reconciliation (I14) against the emulator: each difference explained by its rule, or reported; rows not ours apart."""

from datetime import timedelta
from typing import Any

from connectors.store import outbox
from pipelines.operations.delivery import deliver_phase
from pipelines.operations.reconciliation import Reconciliation, reconcile
from pipelines.operations.sessions import Session
from pipelines.operations.sync import plan_now
from schemas.intents import Method, Phase
from schemas.tables import CONTACT
from tests.invariants.acts import NOW, T0, Who, register, sign_up
from tests.invariants.histories import address_of
from tests.invariants.test_guard import with_crm, with_radius
from tests.invariants.world import World, take_in

AINO = Who("aino@example.org", "aino")


def compared(world: World, **changes: Any) -> Reconciliation:
    return reconcile(Session(world.workspace), world.crm, **changes)


def rules(world: World) -> dict[str, int]:
    outcome = compared(world)
    assert outcome.unexplained == []
    return dict(outcome.rules)


def edit(world: World, **values: Any) -> str:
    contact = str(world.rows("contacts")[0]["contactid"])
    world.emulator.control.edit("contacts", contact, values)
    return contact


def test_i14_after_a_run_nothing_differs_and_rows_of_others_are_counted_apart(world: World) -> None:
    world.perform([sign_up(n, Who(address_of(n), "aino"), T0) for n in range(5)] + [register(9, AINO, T0)])
    world.emulator.control.seed({"contacts": [{"lastname": "Somebody", "emailaddress1": "other@example.org"}]})
    world.run()
    outcome = compared(world)
    assert (outcome.unexplained, dict(outcome.explained)) == ([], {})
    assert dict(outcome.unmanaged) == {"contact": 1}
    assert outcome.compared == sum(len(world.rows(name)) for name in ("contacts", *_other_sets())) - 1
    sampled = compared(world, sample=2)
    assert (sampled.unexplained, dict(sampled.explained), dict(sampled.unmanaged)) == ([], {}, {})
    assert 0 < sampled.compared < outcome.compared
    assert compared(world, sample=100).compared == outcome.compared - len(world.rows("msevtmgt_events"))


def _other_sets() -> tuple[str, ...]:
    return "msdynmkt_contactpointconsent4s", "msevtmgt_events", "msevtmgt_eventregistrations"


def test_i14_what_has_no_rule_is_reported_by_row_and_column_sampled_or_whole(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    contact = edit(world, lastname="Edited", mobilephone="+447700900199")
    for outcome in (compared(world), compared(world, sample=10)):
        assert [(t, str(i), d) for t, i, d in outcome.unexplained] == [
            ("contact", contact, "differs:lastname,mobilephone")
        ]
    world.emulator.control.remove("contacts", contact)
    assert (CONTACT.logical_name, "missing") in [(t, d) for t, _, d in compared(world).unexplained]


def test_i14_a_plan_that_waits_explains_what_it_would_write(world: World) -> None:
    with_radius(world, 0)
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    assert rules(world) == {"waiting": 6}


def test_i14_what_was_not_planned_yet_and_what_is_under_way_is_explained(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    world.at(NOW + timedelta(days=3000))
    assert rules(world) == {"not_planned": len(world.rows("contacts")) + 2}
    session = world.session()
    plan_now(session)
    assert set(rules(world)) == {"in_transit"}
    with session.transaction() as conn:
        for phase, group in ((Phase.LOWERING, Method.LOWER), (Phase.REMOVE_CONTACTS, Method.DELETE)):
            outbox.claim(conn, session.run_id, phase, (group, "contact"), limit=9, now=session.now)
    assert set(rules(world)) == {"in_transit"}


def test_i14_a_pilot_that_becomes_smaller_leaves_rows_that_the_allow_list_explains(world: World) -> None:
    world.perform([sign_up(1, Who(address_of(1), "aino"), T0), sign_up(2, AINO, T0), register(3, AINO, T0)])
    world.run()
    world.with_policy(with_crm(world.workspace.policy, allow_list=(address_of(1),)))
    assert rules(world) == {}
    later = T0 + timedelta(days=1)
    world.perform(
        [register(3, AINO, later, changed_at=later).written(Last="Corrected"), register(4, AINO, later, course="LK2")]
    )
    world.run()
    told = compared(world)
    assert (dict(told.explained), told.unexplained) == (
        {"contact:differs:allow_list": 1, "msevtmgt_eventregistration:missing:allow_list": 1},
        [],
    )


def test_i14_an_edit_that_was_read_back_stands_and_a_later_one_is_not_excused_by_it(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    world.emulator.control.edit("contacts", str(world.rows("contacts")[0]["contactid"]), {"lastname": "Edited"})
    later = T0 + timedelta(days=1)
    world.perform([register(1, AINO, later, changed_at=later).written(Last="Corrected")])
    world.run()
    assert world.rows("contacts")[0]["lastname"] == "Edited"
    assert rules(world) == {}, "the newer act was that of whoever edited"
    edit(world, mobilephone="+447700900199")
    assert [told for _, _, told in compared(world).unexplained] == ["differs:mobilephone"]


def test_i14_a_row_that_staff_deleted_and_that_is_wanted_again_is_to_be_planned(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    (row,) = world.rows("msevtmgt_eventregistrations")
    world.emulator.control.remove("msevtmgt_eventregistrations", str(row["msevtmgt_eventregistrationid"]))
    world.run()
    assert rules(world) == {}
    world.at(NOW + timedelta(days=1))
    world.perform([register(1, AINO, T0, changed_at=world.now)], at=world.now)
    take_in(world.session())
    assert rules(world) == {"not_planned": 1}


def test_i14_an_edit_met_between_plan_and_write_is_known(world: World) -> None:
    world.perform([register(1, AINO, T0)])
    world.run()
    later = T0 + timedelta(days=1)
    world.perform([register(1, AINO, later, changed_at=later).written(Last="Corrected")])
    session = world.session()
    take_in(session)
    plan_now(session)
    edit(world, lastname="Edited")
    assert deliver_phase(session, world.crm, Phase.CORRECTIONS).counts["conflict"] == 1
    assert rules(world) == {"human_edit": 1}
    edit(world, mobilephone="+447700900199")
    assert [told for _, _, told in compared(world).unexplained] == ["differs:lastname,mobilephone"]


def test_i14_a_column_that_should_have_been_cleared_is_noticed(world: World) -> None:
    """The CRM still shows a phone that no purpose shows any more, and nobody knows of it."""
    world.perform([sign_up(1, AINO, T0), sign_up(2, Who(address_of(2), "aino"), T0)])
    world.run()
    edit(world, mobilephone="+447700900199")
    [(table, _, kind)] = compared(world).unexplained
    assert (table, kind) == ("contact", "differs:mobilephone")
    assert len(compared(world, sample=10).unexplained) == 1
    world.run()
    assert rules(world) == {}, "read back, it is a person's to keep"


def test_i14_a_clearing_that_waits_or_is_yet_to_be_planned_explains_what_is_still_there(world: World) -> None:
    world.perform([register(1, AINO, T0), sign_up(1, AINO, T0)])
    world.run()
    world.at(NOW + timedelta(days=1500))
    assert "not_planned" in rules(world)
    with_radius(world, 0)
    world.run()
    assert set(rules(world)) == {"waiting"}
