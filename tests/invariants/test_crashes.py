"""A run that dies anywhere is made whole by a plain rerun: nothing lost, nothing twice, nothing raised anew.

Each run brings one new registration and takes one earlier one back, so that all kinds of writes are crossed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.invariants.acts import RECEIVED, T0, Act, Who, facts_of, register
from tests.invariants.boundaries import Crash, watched
from tests.invariants.model import expected
from tests.invariants.wire import check_wire, sent_rows
from tests.invariants.world import World, assert_holds
from tests.sizes import sized

MAX_PLACES = 200
KILLS = 20
# After every which crash a third run is looked at; each is followed by the next round's in any case.
THIRD_RUNS = sized(5, 1)
DAY = timedelta(days=1)


def round_of(number: int) -> list[Act]:
    """What is new in a round: somebody registers and wants mail; the one of the round before takes all of it back."""
    comes, goes = Who(f"round{number}@example.org", "aino"), Who(f"round{number - 1}@example.org", "aino")
    acts = [register(number, comes, T0, marketing="Yes", marketing_at=T0, course=f"LK{number}")]
    if number > 1:
        left: dict[str, Any] = {"status": "out", "marketing": "No", "marketing_at": T0 + DAY, "last_flag": "Yes"}
        acts.append(register(number - 1, goes, T0, changed_at=T0 + DAY, course=f"LK{number - 1}", **left))
    return acts


def assert_done(world: World) -> None:
    """Nothing is left for another run."""
    assert not world.writes(world.run().since), "a third run has nothing to write"


def assert_whole(world: World, seen: list[Act], since: int) -> None:
    """After a crash and a plain rerun."""
    assert_holds(world, expected(facts_of(seen), now=world.now))
    open_intents = world.query(
        "select state from intake.outbox_intent where state in ('waiting', 'pending', 'claimed')"
    )
    assert not open_intents, "an intent was left behind"
    assert sum(count - 1 for count in sent_times(world, since).values()) <= 1, "more than one batch was sent again"


def sent_times(world: World, since: int) -> Counter[bytes]:
    """How often each write was sent since then, by what was in it."""
    by_request: dict[int, list[object]] = {}
    for one in sent_rows(world.requests(since)):
        by_request.setdefault(one.sequence, []).append([one.method, one.set_name, one.row_id, one.columns])
    return Counter(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS) for rows in by_request.values())


def test_a_crash_at_every_commit_and_request_is_made_whole_by_a_rerun(world: World) -> None:
    seen: list[Act] = []
    world.with_feeds("courses")
    for place in range(1, MAX_PLACES):
        acts = round_of(place)
        seen += acts
        world.perform(acts, at=RECEIVED + timedelta(seconds=place))
        since = world.emulator.control.last_sequence()
        with watched(world.workspace.engine, fatal=place) as places, suppress(Crash):
            world.run()
        world.workspace.engine.dispose()
        world.run()
        assert_whole(world, seen, since)
        if place % THIRD_RUNS == 0:
            assert_done(world)
        if places.passed < place:
            break
    assert place < MAX_PLACES - 1, "the run has an end"
    assert place > 20, "the places are crossed"
    check_wire(world)


@pytest.fixture
def nursery(world: World, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that forks a run for each line it is given."""
    dumped = json.loads(world.settings.model_dump_json(exclude_none=True))
    secret = world.settings.dataverse_client_secret
    dumped["dataverse_client_secret"] = secret.get_secret_value() if secret else None
    given = tmp_path / "world.json"
    given.write_text(json.dumps({"settings": dumped, "url": world.address.url.render_as_string(hide_password=False)}))
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()  # type: ignore[union-attr]
    process.wait(timeout=30)
    process.stdout.close()


def run_apart(nursery: subprocess.Popen[str], kill_after_s: float | None) -> tuple[float, int]:
    """One run in a child, killed after that time; how long it ran and its wait status."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    started = time.perf_counter()
    nursery.stdin.write(f"{kill_after_s or 0}\n")
    nursery.stdin.flush()
    status = int(nursery.stdout.readline().removeprefix("ended "))
    return time.perf_counter() - started, status


def test_a_killed_process_is_made_whole_by_a_rerun(world: World, nursery: subprocess.Popen[str]) -> None:
    rng, seen = random.Random(20261121), round_of(1)
    world.perform(seen)
    lasts_s, status = run_apart(nursery, None)
    assert status == 0, "a run that nobody kills ends well"
    assert_holds(world, expected(facts_of(seen), now=world.now))
    killed = 0
    for number in range(2, 3 * KILLS):
        seen += round_of(number)
        world.perform(round_of(number), at=RECEIVED + timedelta(seconds=number))
        since = world.emulator.control.last_sequence()
        took_s, status = run_apart(nursery, rng.uniform(0.05, 0.95) * lasts_s)
        # On a busy machine a run may end before its kill; then runs are quicker than was thought.
        killed += status == signal.SIGKILL
        lasts_s = lasts_s if status == signal.SIGKILL else min(lasts_s, took_s) * 0.7
        world.run()
        assert_whole(world, seen, since)
        assert_done(world)
        if killed == KILLS:
            break
    assert killed == KILLS
    check_wire(world)
