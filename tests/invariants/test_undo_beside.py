"""Undo (I2) beside what else reads: retries and mended rows, sign-ups that wait for their link, later deliveries of the same."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from pipelines.cli import APP
from pipelines.operations.double_opt_in import confirm, confirmations_to_mail
from pipelines.operations.explain import explain
from pipelines.operations.mending import mend as mend_cell
from pipelines.operations.quarantine import left_out, list_entries, retry
from pipelines.operations.sessions import Session
from pipelines.operations.undo import rehearse_undo
from schemas.errors import ActRefused
from tests.invariants.acts import NOW, T0, Act, Who, answer, register, sign_up
from tests.invariants.histories import address_of
from tests.invariants.test_adopting_commands import Says
from tests.invariants.test_double_opt_in import DOUBLE
from tests.invariants.test_undo import AINO, BY, run_on, undo
from tests.invariants.world import World

BO, MAIJA = Who("bo@example.org", "maija"), Who("maija@example.org", "maija")
ME = ("Maija", "asked the person")
STANDING = """
select c.address_key, e.value from intake.consent_event e join intake.contact_point c using (contact_point_id)
where not exists (select from intake.consent_void v where v.event_key = e.event_key) and e.purpose = 'marketing'
order by 1, 2"""


def session(world: World) -> Session:
    """A session without a record of its run, as those have that read outside a run."""
    return Session(world.workspace)


def standing(world: World) -> list[tuple[str, str]]:
    """Whose decisions about marketing count."""
    return [tuple(row) for row in world.query(STANDING)]


def registered(world: World) -> list[str]:
    """The addresses that are registered for something."""
    return list(
        world.query(
            "select c.address_key from intake.registration join intake.contact_point c using (contact_point_id) order by 1"
        )
    )


def batch_states(world: World) -> list[str]:
    return [state for (state,) in world.query("select state from intake.batch order by landed_at, received_at")]


def broken(act: Act) -> Act:
    """The same row with an address that is none."""
    return act.written(Email="nowhere")


# Retries.


@pytest.fixture
def undone(world: World) -> World:
    """A file of thirty registrations with one that cannot be read, which was undone."""
    acts = [register(n, Who(address_of(n), "aino"), T0) for n in range(30)]
    world.perform([*acts, broken(register(30, BO, T0))])
    undo(world, run_on(world, 0))
    assert not registered(world) and len(list_entries(session(world))) == 1
    return world.at(NOW + timedelta(hours=1))


def test_i2_a_retry_reads_nothing_of_what_was_undone(undone: World) -> None:
    (entry,) = list_entries(session(undone))
    number = entry["quarantine_id"]
    for asked in (None, number):
        assert retry(session(undone), asked) == []
        assert left_out(session(undone), asked) == ["courses"]
    mended = mend_cell(session(undone), number, column=None, value=BO.address, signature=ME)
    assert (mended.rows, mended.still_open, mended.still_undone) == (1, 1, 1)
    assert not registered(undone)
    assert batch_states(undone) == ["undone"]


def test_whoever_retries_is_told_what_was_left_out_and_by_which_run_the_rest_was_read(undone: World) -> None:
    acts = [answer(n, Who(address_of(n), "aino"), T0, newsletter="Yes") for n in range(30)]
    undone.perform([*acts, broken(answer(30, BO, T0, newsletter="Yes"))])
    run_on(undone, 2)
    environment = Says(undone).environment
    told = CliRunner().invoke(APP, ["quarantine", "retry"], env=environment)
    assert "1 batches of courses were undone" in " ".join(told.output.split())
    told = CliRunner().invoke(APP, ["quarantine", "retry", "--json"], env=environment)
    retried = json.loads(told.stdout)
    assert (retried["batches"], retried["still_undone"]) == (1, 1)
    assert undone.query("select feed from intake.reading where run_id = :id", id=retried["run_id"]) == [("answers",)]


def test_i2_a_retry_reads_what_was_undone_once_its_mapping_is_mended(undone: World) -> None:
    (entry,) = list_entries(session(undone))
    mend_cell(session(undone), entry["quarantine_id"], column=None, value=BO.address, signature=ME)
    undone.with_mapping("courses", title="courses, mended")
    assert left_out(session(undone)) == []
    assert [one.stop for one in retry(session(undone))] == [None]
    assert len(registered(undone)) == 31 and not list_entries(session(undone))
    assert batch_states(undone) == ["applied"]
