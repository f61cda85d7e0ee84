"""A step of a run that is tried again, or begun by another run: nothing is called done of which something is left."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.assets.crm import STEPS
from pipelines.operations.phases import deliver_step, plan_step
from schemas.errors import CrmUnavailable
from tests.invariants.acts import T0, Who, answer, sign_up
from tests.invariants.crm_hands import OPTED_OUT, consents_of, edit_contact
from tests.invariants.world import World, take_in

AINO, MAIJA = Who("aino@example.org", "aino"), Who("maija@example.org", "maija")
OPEN = "select count(*) from intake.outbox_intent where finished_at is null"


class DownOnce:
    """A client of the CRM whose first write gets no answer."""

    def __init__(self, crm: Any) -> None:
        self._crm, self._is_down = crm, True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._crm, name)
        if name not in ("upsert_many", "update_existing", "update_if_match"):
            return found

        def write(*args: Any) -> Any:
            if self._is_down:
                self._is_down = False
                raise CrmUnavailable("There is no token to be had.")
            return found(*args)

        return write


def test_a_step_that_is_tried_again_sends_what_its_first_try_had_claimed(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    world.perform([answer(2, AINO, T0 + timedelta(days=1), stop="Yes"), sign_up(3, MAIJA, T0)])
    take_in(world.session())
    run = world.session()
    plan_step(run, world.crm)
    crm: Any = DownOnce(world.crm)
    with pytest.raises(CrmUnavailable):
        deliver_step(run, crm, STEPS[0].phases)
    deliver_step(run, crm, STEPS[0].phases)
    assert {row["msdynmkt_value"] for row in consents_of(world, AINO.key).values()} == {OPTED_OUT}
    for one in STEPS[1:]:
        deliver_step(run, crm, one.phases, closes=one is STEPS[-1])
    assert world.query(OPEN) == [(0,)]
    assert [row["emailaddress1"] for row in world.rows("contacts")] == [MAIJA.address], (
        "nothing is known of Aino any more"
    )


def test_the_last_step_tried_again_after_its_new_plan_sends_that_plan(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    with world.owner.begin() as conn:
        conn.exec_driver_sql("update intake.person set family_name = 'Uusi'")
        conn.exec_driver_sql("update intake.contact_point set version = version + 1")
    run = world.session()
    plan_step(run, world.crm)
    edit_contact(world, AINO.key, lastname="Muokattu")
    world.perform([sign_up(3, MAIJA, T0)])
    take_in(world.session())
    for one in STEPS[:-1]:
        deliver_step(run, world.crm, one.phases)
    assert world.query("select count(*) from intake.outbox_intent where state = 'conflict'") == [(1,)]
    crm: Any = DownOnce(world.crm)
    with pytest.raises(CrmUnavailable):
        deliver_step(run, crm, STEPS[-1].phases, closes=True)
    assert deliver_step(run, crm, STEPS[-1].phases, closes=True) is not None
    assert world.query(OPEN) == [(0,)]
    assert len(world.rows("contacts")) == 2, "who came in meanwhile is in the new plan"
