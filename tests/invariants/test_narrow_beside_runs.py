"""A narrow synchronisation beside a run's plan: neither undoes what the other knew later, neither waits for the other."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from connectors.store import narrow_calls
from pipelines.operations.adoption import look_up
from pipelines.operations.delivery import deliver_phases
from pipelines.operations.erasure import Asked, alone, erase_person
from pipelines.operations.erasure_crm import finish_in_crm
from pipelines.operations.narrow_sync import serve_calls
from pipelines.operations.planning import write_plan
from pipelines.operations.readback import read_back
from pipelines.operations.sync import as_writer, close
from schemas.errors import CrmUnavailable
from schemas.intents import Phase
from tests.invariants.acts import T0, Who, sign_up
from tests.invariants.crm_hands import OPTED_OUT, PREFERENCE_PAGE, consents_of, edit_consent
from tests.invariants.world import World, take_in

AINO, MAIJA = Who("aino@example.org", "aino"), Who("maija@example.org", "maija")


class Beside:
    """A client of the CRM before whose first upsert, of a table, something else happens."""

    def __init__(self, crm: Any, happens: Callable[[], None], *, table: str = "") -> None:
        self._crm, self._happens, self._table = crm, happens, table
        self.happened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def upsert_many(self, table: Any, rows: Any) -> Any:
        if not self.happened and self._table in ("", table.logical_name):
            self.happened = True
            self._happens()
        return self._crm.upsert_many(table, rows)


def called(world: World, who: Who) -> UUID:
    """Have the CRM told of that address at once."""
    found: UUID = world.query(
        "select contact_point_id from intake.contact_point where address_key = :key", key=who.key
    )[0][0]
    with world.workspace.transaction() as conn:
        narrow_calls.call(conn, [found])
    return found


def served_within(world: World, seconds: float) -> int | None:
    """How many calls were served; None where that still waits after so long."""
    done: list[int] = []
    serving = threading.Thread(target=lambda: done.append(serve_calls(world.workspace, world.crm).served), daemon=True)
    serving.start()
    serving.join(seconds)
    return done[0] if done else None


def values_of(world: World, who: Who) -> set[int]:
    return {row["msdynmkt_value"] for row in consents_of(world, who.key).values()}


def test_a_plan_that_was_read_before_a_narrow_synchronisation_raises_nothing_after_it(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    called(world, AINO)
    run = world.session()
    with as_writer(run, world.crm):
        read_back(run, world.crm)
        look_up(run, world.crm)
        with run.transaction() as conn:
            assert write_plan(run, conn).size > 0
            assert serve_calls(world.workspace, world.crm).served == 1
        for topic in consents_of(world, AINO.key):
            edit_consent(world, AINO.key, topic, msdynmkt_value=OPTED_OUT, msdynmkt_source=PREFERENCE_PAGE)
        since = world.emulator.control.last_sequence()
        deliver_phases(run, world.crm, tuple(Phase))
        close(run)
        assert not world.writes(since), "what the run had read was overtaken"
    world.run()
    assert values_of(world, AINO) == {OPTED_OUT}
    assert {row.state for row in world.query("select state from intake.consent_state")} == {"withdrawn"}


def test_a_runs_plan_under_way_stops_neither_the_one_that_is_served_nor_the_next(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    take_in(world.session())
    called(world, AINO)
    run = world.session()
    plan = run.transaction()

    def the_run_plans() -> None:
        write_plan(run, plan.__enter__())

    try:
        assert serve_calls(world.workspace, Beside(world.crm, the_run_plans)).served == 1  # type: ignore[arg-type]
        called(world, MAIJA)
        assert served_within(world, 20) == 1, "it waits for no plan"
    finally:
        plan.__exit__(None, None, None)
    assert len(world.rows("contacts")) == 2


def test_what_a_plan_is_setting_aside_holds_up_its_own_address_alone(world: World) -> None:
    world.perform([sign_up(1, AINO, T0), sign_up(2, MAIJA, T0)])
    take_in(world.session())
    with world.session().transaction() as conn:
        write_plan(world.session(), conn)
    aino = called(world, AINO)
    called(world, MAIJA)
    with world.owner.begin() as conn:
        conn.exec_driver_sql("select from intake.outbox_intent where contact_point_id = %s for update", (aino,))
        assert served_within(world, 20) == 1, "it waits for nobody"
    assert world.query("select contact_point_id from intake.narrow_call") == [(aino,)]


def test_a_call_waits_a_minute_at_most_for_the_crm_to_answer_again(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    called(world, AINO)
    with world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.narrow_call set tries = 12")

    def is_down() -> None:
        raise CrmUnavailable("There is no token to be had.")

    with pytest.raises(CrmUnavailable):
        serve_calls(world.workspace, Beside(world.crm, is_down))  # type: ignore[arg-type]
    [(wait_s,)] = world.query("select extract(epoch from due_at - clock_timestamp()) from intake.narrow_call")
    assert 50 < wait_s <= 60


@pytest.mark.parametrize("table", ["contact", "msdynmkt_contactpointconsent4"])
def test_an_erasure_waits_for_what_a_narrow_synchronisation_has_on_its_way(world: World, table: str) -> None:
    world.perform([sign_up(1, AINO, T0)])
    take_in(world.session())
    called(world, AINO)
    erased = threading.Event()

    def erase() -> None:
        session = world.session()
        with alone(session, world.crm):
            erase_person(session, Asked("Officer", address=AINO.address), crm=world.crm)
        with as_writer(session, world.crm):
            assert finish_in_crm(session, world.crm).open == 0
        erased.set()

    erasing = threading.Thread(target=erase, daemon=True)

    def is_erased_meanwhile() -> None:
        erasing.start()
        assert not erased.wait(2)

    serve_calls(world.workspace, Beside(world.crm, is_erased_meanwhile, table=table))  # type: ignore[arg-type]
    assert erased.wait(30)
    world.run()
    assert not world.rows("contacts") and not consents_of(world, AINO.key)
    assert world.query("select count(*) from intake.crm_row") == [(0,)]
