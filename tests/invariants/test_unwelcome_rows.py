"""A row that the CRM does not take, for whatever reason it gives, holds back no other: neither in a run nor at a click."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from connectors.store import narrow_calls
from pipelines.operations.narrow_sync import ROUNDS, serve_calls
from schemas.errors import CrmMisconfigured, CrmUnavailable
from tests.invariants.acts import T0, Who, answer, sign_up
from tests.invariants.test_late_and_lost import DAY
from tests.invariants.world import CONSENTS, OPTED_OUT, World, take_in

PEOPLE = [Who(f"person{number}@example.org", "maija") for number in range(3)]
POISON = {"kind": "poison", "table": "msdynmkt_contactpointconsent4", "times": None}
GENERIC = {"status": 400, "code": "0x80040216"}


def withdraw_all(world: World, people: Sequence[Who] = PEOPLE) -> None:
    """Everybody was opted in, and withdraws; the CRM does not know yet."""
    world.perform(sign_up(number, who, T0) for number, who in enumerate(people))
    world.run()
    world.perform(answer(10 + number, who, T0 + DAY, stop="Yes") for number, who in enumerate(people))


def sync_by_run(world: World) -> None:
    world.run()


def sync_by_click(world: World) -> None:
    call_all(world)
    serve_calls(world.workspace, world.crm)


def call_all(world: World) -> None:
    take_in(world.session())
    with world.workspace.transaction() as conn:
        narrow_calls.call(conn, [row.contact_point_id for row in world.query("select * from intake.contact_point")])


def opted_out(world: World) -> list[str]:
    """The addresses of which every consent row is opted out."""
    rows: dict[str, set[int]] = {}
    for row in world.rows(CONSENTS):
        rows.setdefault(row["msdynmkt_contactpointvalue"], set()).add(row["msdynmkt_value"])
    return sorted(address for address, values in rows.items() if values == {OPTED_OUT})


@pytest.mark.parametrize("sync", [sync_by_run, sync_by_click])
def test_a_row_refused_as_if_nothing_could_go_holds_back_no_other_withdrawal(world: World, sync: Any) -> None:
    withdraw_all(world)
    world.emulator.control.faults(
        {**POISON, **GENERIC, "column": "msdynmkt_contactpointvalue", "value": PEOPLE[1].address}
    )
    sync(world)
    assert opted_out(world) == [PEOPLE[0].address, PEOPLE[2].address]
    ((refused,),) = world.query("select count(*) from intake.outbox_intent where state = 'refused' and phase = 0")
    assert refused > 0
    world.emulator.control.clear_faults()
    world.run()
    assert opted_out(world) == [who.address for who in PEOPLE]


@pytest.mark.parametrize("sync", [sync_by_run, sync_by_click])
def test_what_is_refused_for_every_row_of_a_table_is_told_and_the_lowerings_of_others_go(
    world: World, sync: Any
) -> None:
    withdraw_all(world)
    world.emulator.control.faults({**POISON, **GENERIC, "column": "msdynmkt_value", "value": OPTED_OUT})
    with pytest.raises(CrmMisconfigured):
        sync(world)
    assert opted_out(world) == []
    assert all(row["donotbulkemail"] for row in world.rows("contacts"))


@pytest.mark.parametrize("code", ["0x80040224", "0x80044150"])
def test_a_row_at_which_the_crm_itself_fails_is_refused_alone_and_all_that_comes_after_goes(
    world: World, code: str
) -> None:
    """A plug-in that crashes at it, or a database error that is no deadlock."""
    people = [Who(f"person{number}@example.org", "maija") for number in range(100)]
    world.perform(sign_up(number, who, T0) for number, who in enumerate(people))
    poison = {"kind": "poison", "table": "contact", "column": "emailaddress1", "value": people[41].address}
    world.emulator.control.faults({**poison, "times": None, "status": 500, "code": code})
    phases = world.run().sync.phases
    assert (phases["contacts"].counts["acknowledged"], phases["contacts"].counts["refused"]) == (99, 1)
    assert phases["flags"].counts["acknowledged"] == 99
    assert [row["donotbulkemail"] for row in world.rows("contacts")] == [False] * 99
    told = world.query("select status, code from intake.outbox_intent where state = 'refused'")
    assert [tuple(row) for row in told] == [(500, code)]


def fail_at_whatever_is_written(world: World) -> None:
    """Reads are answered: its plug-ins are down, or its database takes no writes."""
    for table in ("contact", "msdynmkt_contactpointconsent4"):
        order = {"kind": "poison", "table": table, "column": "none of its columns", "value": None, "times": None}
        world.emulator.control.faults({**order, "status": 500, "code": "0x80040224"})


def test_a_withdrawal_waits_a_minute_at_most_while_the_crm_itself_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(world.crm, "pause", pauses.append)
    withdraw_all(world, PEOPLE[:1])
    fail_at_whatever_is_written(world)
    with pytest.raises(CrmUnavailable):
        sync_by_click(world)
    assert pauses == list(range(ROUNDS)), "others wait to be served"
    put_off(world, 10)
    assert world.query("select count(*) from intake.outbox_intent where state = 'refused'")[0][0] == 0
    world.emulator.control.clear_faults()
    make_due(world)
    serve_calls(world.workspace, world.crm)
    assert opted_out(world) == [PEOPLE[0].address]


def put_off(world: World, tries: int) -> None:
    """As after so many tries in vain: the next is a minute away at most."""
    with world.owner.begin() as conn:
        conn.exec_driver_sql(f"update intake.narrow_call set tries = {tries}, due_at = clock_timestamp()")
    with suppress(CrmUnavailable):
        serve_calls(world.workspace, world.crm)
    waits = world.query("select extract(epoch from max(due_at) - clock_timestamp()) from intake.narrow_call")
    assert 50 < waits[0][0] <= 60


def make_due(world: World) -> None:
    with world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.narrow_call set due_at = clock_timestamp()")


def test_a_row_at_which_the_crm_itself_fails_is_tried_again_within_a_minute(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused while others land, and may land itself a minute later."""
    monkeypatch.setattr(world.crm, "pause", lambda _: None)
    withdraw_all(world)
    poison = {**POISON, "status": 500, "code": "0x80040224"}
    world.emulator.control.faults({**poison, "column": "msdynmkt_contactpointvalue", "value": PEOPLE[1].address})
    call_all(world)
    put_off(world, 10)
    assert opted_out(world) == [PEOPLE[0].address, PEOPLE[2].address]
    refused = world.query("select distinct status from intake.outbox_intent where state = 'refused'")
    assert [row.status for row in refused] == [500]


def test_a_run_raises_nothing_while_the_crm_itself_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.crm, "pause", lambda _: None)
    withdraw_all(world, PEOPLE[:1])
    world.perform([sign_up(20, Who("new@example.org", "aino"), T0 + DAY)])
    fail_at_whatever_is_written(world)
    with pytest.raises(CrmUnavailable):
        world.run()
    sent = "select distinct phase from intake.outbox_intent where run_id = :run and claimed_at is not null"
    assert [row.phase for row in world.query(sent, run=world.runs[-1])] == [0]
    world.emulator.control.clear_faults()
    world.run()
    assert opted_out(world) == [PEOPLE[0].address]


@pytest.mark.parametrize("status", [500, 504])
def test_what_the_crm_has_no_time_for_goes_in_ever_smaller_chunks(world: World, status: int) -> None:
    world.perform(sign_up(number, Who(f"person{number}@example.org", "maija"), T0) for number in range(100))
    world.emulator.control.limits(latency_ms_per_row=0.1, max_message_ms=2, message_timeout_status=status)
    try:
        phases = world.run().sync.phases
    finally:
        world.emulator.control.limits(latency_ms_per_row=0, max_message_ms=None)
    assert phases["contacts"].counts == Counter(acknowledged=100)
    assert len(world.rows("contacts")) == 100
