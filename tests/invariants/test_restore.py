"""After a restore (I11): the database is recognised, nothing runs, and who was erased since the backup goes again."""

import gc
from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipelines.operations.erasure import alone
from pipelines.operations.erasure_crm import finish_in_crm
from pipelines.operations.following import follow_once
from pipelines.operations.restores import Replay, replay
from pipelines.operations.sessions import Session
from schemas.errors import ConfigurationError, DatabaseRestored
from tests.invariants.acts import NOW, RECEIVED, T0, Who, answer, register, sign_up
from tests.invariants.erasing import erase, traces
from tests.invariants.world import World, opened, take_in
from tests.throwaway import fresh_database

AINO, KALLE, MAIJA = (Who(f"{name}@example.org", name) for name in ("aino", "kalle", "maija"))
SHARED = Who("maija@example.org", "kalle")


@pytest.fixture
def backed_up(world: World) -> Iterator[tuple[World, World]]:
    """A world, and its database as a backup of before Aino, and one of two at an address, were erased."""
    acts = [
        a for n, who in enumerate((AINO, KALLE, MAIJA, SHARED)) for a in (sign_up(n, who, T0), register(n, who, T0))
    ]
    world.perform(acts)
    world.run()
    world.owner.dispose()
    world.workspace.engine.dispose()
    gc.collect()
    with fresh_database(world.address, template=world.address.database) as copy:
        erase(world, AINO.address)
        (shared,) = world.query("select person_id from intake.person join intake.contact_point using (contact_point_id)"
                                " where given_name = 'Kalle' and address = 'maija@example.org'")  # fmt: skip
        erase(world, person=str(shared.person_id))
        world.perform([answer(9, KALLE, NOW - timedelta(minutes=9), newsletter="No")], at=NOW - timedelta(minutes=8))
        world.run()
        with opened(world.directory, world.emulator, copy) as restored:
            yield world, restored


def replayed(world: World) -> Replay:
    session = Session(world.workspace)
    with alone(session):
        done = replay(session)
        finish_in_crm(session, world.crm)
    return done


def test_i11_nothing_runs_on_a_restored_database_until_the_journal_is_replayed(backed_up: tuple[World, World]) -> None:
    world, restored = backed_up
    assert "intake.contact_point" in traces(restored, "aino@example.org")
    since = restored.emulator.control.last_sequence()
    with pytest.raises(DatabaseRestored, match="privacy replay"):
        restored.run()
    with pytest.raises(DatabaseRestored):
        take_in(Session(restored.workspace))
    assert restored.emulator.control.last_sequence() == since, "nothing was even read"
    done = replayed(restored)
    assert (done.was_restored, done.entries, done.people) == (True, 2, 2)
    assert done.tables == ["contact", "msdynmkt_contactpointconsent4", "msevtmgt_eventregistration"]
    assert traces(restored, "aino@example.org", "virtanen") == set()
    names = [row.given_name for row in restored.query("select given_name from intake.person order by 1")]
    assert (
        names
        == ["Kalle", "Maija"]
        == [row.given_name for row in world.query("select given_name from intake.person order by 1")]
    )
    held = restored.holds()
    assert held.consents[KALLE.key, "marketing", ""] is False, "withdrawn after the backup was made"
    restored.run()
    assert restored.holds() == held and not restored.writes(restored.run().since), "the CRM is as it was"
    restored.perform([sign_up(0, AINO, T0), register(0, AINO, T0)], at=RECEIVED)
    restored.run()
    assert traces(restored, "aino@example.org") == set(), "the tombstones are there again"
    assert not replayed(restored).was_restored, "once is enough"


def test_a_database_older_than_the_last_run_is_recognised_without_any_erasure(world: World) -> None:
    world.run()
    world.workspace.journal.note_run(Session(world.workspace).run_id)
    with pytest.raises(DatabaseRestored):
        world.run()
    assert replayed(world).was_restored
    world.run()


def test_a_changed_journal_is_not_believed(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    erase(world, AINO.address)
    path = world.workspace.journal.path
    path.write_bytes(path.read_bytes().replace(b"address", b"subject", 1))
    with pytest.raises(ConfigurationError, match="broken at line 1"):
        world.run()


def test_whoever_restored_it_says_so_where_nothing_beside_it_tells(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    world.workspace.journal.note_run(None)
    session = Session(world.workspace)
    with alone(session):
        assert not replay(session).was_restored
        done = replay(session, is_restored=True)
    assert done.was_restored and done.tables
    assert world.query("select count(*) from intake.contact_point where version > acked_version") == [(1,)]


def test_no_call_is_served_on_a_restored_database(backed_up: tuple[World, World]) -> None:
    _, restored = backed_up
    since = restored.emulator.control.last_sequence()
    with pytest.raises(DatabaseRestored):
        follow_once(restored.workspace, restored.crm)
    assert restored.emulator.control.last_sequence() == since
