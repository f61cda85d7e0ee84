"""`plan` predicts `run`: the same engine, every write rolled back; and the same files again write nothing."""

import random
from datetime import timedelta
from typing import Any

from hypothesis import given

from pipelines.operations.planning import make_plan
from pipelines.operations.sessions import rehearse
from schemas.intents import Intent
from tests.invariants.acts import NOW, T0, Act, Who, answer, facts_of, prohibit, register, sign_up
from tests.invariants.histories import address_of, examples, households
from tests.invariants.model import expected
from tests.invariants.world import World, assert_holds, take_in


def predicted(world: World) -> list[tuple[Any, ...]]:
    with rehearse(world.workspace) as session:
        take_in(session)
        with session.transaction() as conn:
            intents: list[Intent] = []
            plan = make_plan(session, conn, each=intents.append)
            assert plan.size == len(intents)
            return sorted(map(_as_row, intents))


def _as_row(intent: Intent) -> tuple[Any, ...]:
    columns = sorted((name, str(value)) for name, value in intent.columns.items())
    return int(intent.phase), str(intent.method), intent.table_name, str(intent.row_id), columns


def written(world: World) -> list[tuple[Any, ...]]:
    """All intents ever written down."""
    rows = world.query("select phase, method, table_name, row_id, columns from intake.outbox_intent")
    return sorted((r[0], r[1], r[2], str(r[3]), sorted((n, str(v)) for n, v in r[4].items())) for r in rows)


def folder(world: World) -> dict[str, tuple[bytes, float]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime) for path in world.drop.iterdir()}


@examples(2)
@given(history=households(least=4, most=8))
def test_a_plan_predicts_every_write_of_the_run_and_leaves_nothing_behind(
    one_world: World, history: list[list[Act]]
) -> None:
    world = one_world.reset()
    seen: list[Act] = []
    for half in (0, 1):
        acts = [act for household in history for act in household[half::2]]
        seen += acts
        world.perform(acts)
        counts, files, sent = world.counts(), folder(world), world.emulator.control.last_sequence()
        before = written(world)
        plan = predicted(world)
        assert world.counts() == counts, "no row is left behind, nor a staging table"
        assert folder(world) == files, "the files are still there"
        assert world.emulator.control.last_sequence() == sent, "the CRM was not asked"
        world.run()
        after = written(world)
        for row in before:
            after.remove(row)
        assert after == plan
        assert_holds(world, expected(facts_of(seen), now=world.now))
    assert not predicted(world)


def test_the_same_export_many_times_over_ends_in_the_same_state(world: World) -> None:
    rng = random.Random(8)
    acts = [
        act
        for n in range(8)
        for act in (
            sign_up(n, Who(address_of(n), "aino"), T0),
            answer(100 + n, Who(address_of(n)), T0 + timedelta(hours=n), stop="Yes" if n % 2 else "", rdi="No"),
            register(200 + n, Who(address_of(n), "maija"), T0, charge="paid", marketing="Yes", marketing_at=T0),
            prohibit(300 + n, Who(address_of(n), "maija"), T0, prohibited="Yes" if n % 3 == 0 else ""),
        )
    ]
    world.perform(acts)
    world.run()
    held, events = world.holds(), world.query("select event_key from intake.consent_event order by 1")
    for nth in range(2):
        rng.shuffle(acts)
        world.perform(acts, at=NOW - timedelta(hours=nth))
        world.perform(acts[: len(acts) // 2], at=NOW - timedelta(minutes=nth))
        assert not world.writes(world.run().since)
    assert world.holds() == held
    assert world.query("select event_key from intake.consent_event order by 1") == events
