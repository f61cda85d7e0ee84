"""A key under which the store's rows were made is put back from its backup, and not made anew, by whichever role it is missed."""

from pathlib import Path

import pytest

from connectors.store.engine import create_store_engine
from connectors.store.keys import UNROTATABLE, KeyRing
from connectors.store.lost_keys import refuse_lost
from connectors.store.migrate import PREFERENCES_ROLE
from pipelines.operations.undo import undo_run
from schemas.errors import ConfigurationError
from tests.invariants.acts import T0, Who, sign_up
from tests.invariants.world import World

AINO, KALLE = Who("aino@example.org", "aino"), Who("kalle@example.org", "kalle")
EVENTS = "select event_key from intake.consent_event order by 1"


def file_of(world: World, name: str) -> Path:
    return world.workspace.keys.directory / f"{name}-0001.key"


@pytest.mark.parametrize("name", sorted(UNROTATABLE))
def test_nothing_is_read_until_the_ring_has_its_key_again(world: World, tmp_path: Path, name: str) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    undo_run(world.session(), world.runs[-1], by="Tester")
    events, lost = world.query(EVENTS), file_of(world, name)
    lost.rename(tmp_path / "backup")
    world.perform([sign_up(1, AINO, T0), sign_up(2, KALLE, T0)])
    with pytest.raises(ConfigurationError, match=rf"no {name} key(.|\n)*from the backup"):
        world.run()
    assert world.query(EVENTS) == events and not lost.exists()
    (tmp_path / "backup").rename(lost)
    world.run()
    assert len(world.query(EVENTS)) == 2 * len(events), "Kalle's, and none of Aino's that was undone"
    assert {address for address, _ in world.holds().contacts} == {KALLE.key}


def test_the_pages_role_sees_nobody_and_makes_no_key_either(world: World) -> None:
    world.perform([sign_up(1, AINO, T0)])
    world.run()
    engine = create_store_engine(world.address, role=PREFERENCES_ROLE, pool_size=1)
    try:
        for name in sorted(UNROTATABLE):
            with pytest.raises(ConfigurationError, match=f"no {name} key"):
                refuse_lost(engine, name)
        refuse_lost(engine, "link")
    finally:
        engine.dispose()


def test_a_store_that_holds_nothing_yet_makes_its_keys(world: World) -> None:
    ring = world.workspace.keys
    for name in sorted(UNROTATABLE):
        file_of(world, name).unlink(missing_ok=True)
        assert ring.current(name) == KeyRing(ring.directory).current(name)
