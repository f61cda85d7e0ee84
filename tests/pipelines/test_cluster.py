"""A window of days spread over workers ends as in one process, also when workers are killed in the middle of a step.

Over RabbitMQ a worker is killed whole, and its step goes to another. Over a database as broker it is the worker's process
that is killed: there a message that a whole worker had taken is not given to another.
By gate three days, by night thirty. The one worker is started as `crm-intake cluster` starts it, the others are forked.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date

import psutil
import pytest
import sqlalchemy as sa

from pipelines.assets.intake import NOUNS, chain_of
from pipelines.cluster import cut, local_workers, run_as_set, run_on_workers
from pipelines.launch import RunSummary
from pipelines.schedules import CRM_SYNC, FINANCE, INTAKE, window_tags
from pipelines.settings import Settings
from pipelines.workers import scheme_of
from schemas.errors import ConfigurationError
from schemas.records import Window
from tests.pipelines.brokers import own_broker
from tests.pipelines.conftest import World
from tests.pipelines.end_states import (
    ASKED,
    CONSENT,
    CONTACT,
    FACTS,
    asked_of_crm,
    crm_rows,
    digest,
    facts,
    store_digests,
)
from tests.pipelines.forked_workers import ForkedWorker, forked_workers, prepare_forks
from tests.sizes import sized

DAYS = sized(3, 30)
PEOPLE = sized(30, 300)
ON_WORKERS = {"partitions_per_run": 1, "executor": "celery"}
# Workers, and the seconds between two kills (0: none).
CREWS = [(1, 0.0), (2, 0.0), (4, 0.0), (2, 10.0)]
# So that the gate's run ends on a busy machine too, where a step takes longer than ten seconds.
MOST_KILLS = sized(2, 10_000)
# By step of a run: the worker that has it, the last that took it up, and how often it was begun.
_UNDER_WAY = """
select run_id, step_key, (array_agg(worker order by id desc) filter (where worker is not null))[1] as worker,
    count(*) filter (where dagster_event_type = 'STEP_START') as starts
from (select *, substring(event from 'worker-([0-9]+)@') as worker from event_logs) e
where step_key is not null and (dagster_event_type = 'STEP_START' or event like '%%Celery worker%%')
  and not exists (select from event_logs o where o.run_id = e.run_id and o.step_key = e.step_key
    and o.dagster_event_type in ('STEP_SUCCESS', 'STEP_FAILURE', 'STEP_UP_FOR_RETRY'))
group by 1, 2 having bool_or(dagster_event_type = 'STEP_START') and bool_or(worker is not null)
"""
_STARTS = (
    "select count(*) from event_logs where run_id = :run and step_key = :step and dagster_event_type = 'STEP_START'"
)


@dataclass
class Killer:
    """Kills a worker in the middle of a step, starts it anew, and remembers which step it was."""

    settings: Settings
    world: World
    crew: list
    struck: list[tuple[str, str]] = field(default_factory=list)
    begun: dict[tuple[str, str], int] = field(default_factory=dict)

    def strike(self) -> None:
        engine = sa.create_engine(self.world.address.dagster.url_psycopg)
        with engine.connect() as conn:
            under_way = conn.execute(sa.text(_UNDER_WAY)).all()
        engine.dispose()
        # A step that was struck and is not begun again yet is nobody's: the process that it had is another's by now.
        alive = [row for row in under_way if self.begun.get((row.run_id, row.step_key)) != row.starts]
        if not alive:
            return
        run_id, step, number, self.begun[run_id, step] = alive[0]
        worker = self.crew[int(number) - 1]
        if scheme_of(self.settings) == "pyamqp":
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            self.crew[int(number) - 1] = ForkedWorker(self.settings, int(number), address=self.world.address)
        else:
            for child in psutil.Process(worker.pid).children():
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self.struck.append((run_id, step))


@contextmanager
def striking(killer: Killer, every_s: float) -> Iterator[None]:
    over = threading.Event()

    def go() -> None:
        ready = time.monotonic()
        while not over.wait(0.1):
            if time.monotonic() >= ready and len(killer.struck) < MOST_KILLS:
                before = len(killer.struck)
                killer.strike()
                ready = time.monotonic() + (every_s if len(killer.struck) > before else 0)

    thread = threading.Thread(target=go)
    if every_s:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if every_s:
            thread.join()


@dataclass(frozen=True)
class Compared:
    """One organisation twice: taken in by one process, and by workers."""

    alone: World
    spread: World
    summary: RunSummary
    killer: Killer


@pytest.fixture(scope="module")
def alone(make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with make_world(people=PEOPLE, days=DAYS) as world:
        for day in cut(world.window, 1):
            tags = window_tags(str(day.first_on), str(day.last_on))
            assert world.run(INTAKE, tags=tags, asset_selection=chain_of(list(NOUNS))).success
        assert all(world.run(job).success for job in (CRM_SYNC, FINANCE))
        yield world


def crew_name(crew: tuple[int, float]) -> str:
    return f"{crew[0]} workers, killed every {crew[1]:g} s"


@pytest.fixture(scope="module", params=CREWS, ids=crew_name)
def compared(
    request: pytest.FixtureRequest, alone: World, make_world: Callable[..., AbstractContextManager[World]]
) -> Iterator[Compared]:
    workers, every_s = request.param
    prepare_forks()
    hire = local_workers if workers == 1 else forked_workers
    with (
        make_world(people=PEOPLE, days=DAYS, keys=alone.settings.keys_dir()) as spread,
        own_broker(spread.settings.model_copy(update=ON_WORKERS), spread.address) as settings,
        hire(settings, workers, address=spread.address) as crew,
    ):
        killer = Killer(settings, spread, crew)
        with striking(killer, every_s):
            summary = run_as_set(settings, sources=list(NOUNS), window=spread.window, address=spread.address)
        yield Compared(alone, spread, summary, killer)


def test_every_part_of_the_window_ends_well(compared: Compared) -> None:
    assert compared.summary.is_success, str(compared.summary)
    assert len(compared.summary.states) == DAYS + 2, "a run a day, then the CRM and finance"


@pytest.mark.parametrize("compared", [crew for crew in CREWS if crew[1]], indirect=True, ids=crew_name)
def test_a_step_of_a_killed_worker_is_done_again_elsewhere(compared: Compared) -> None:
    assert compared.killer.struck, "no worker was killed in a step"
    engine = sa.create_engine(compared.spread.address.dagster.url_psycopg)
    with engine.connect() as conn:
        starts = [conn.execute(sa.text(_STARTS), {"run": r, "step": s}).scalar_one() for r, s in compared.killer.struck]
    engine.dispose()
    assert min(starts) >= 2, compared.killer.struck


@pytest.mark.parametrize("name", FACTS)
def test_the_store_says_the_same_of_everybody(compared: Compared, name: str) -> None:
    alone, spread = facts(compared.alone, name), facts(compared.spread, name)
    assert len(alone) > 3
    assert alone - spread == spread - alone == set()
    assert digest(alone) == digest(spread)


def test_every_table_has_the_same_rows(compared: Compared) -> None:
    alone, spread = store_digests(compared.alone), store_digests(compared.spread)
    assert len(alone) > 60
    unlike = sorted(name for name in alone if alone[name] != spread[name])
    assert not unlike, ", ".join(unlike)


@pytest.mark.parametrize(
    ("entity_set", "columns"), [("contacts", CONTACT), ("msdynmkt_contactpointconsent4s", CONSENT)]
)
def test_the_crm_has_the_same_rows(compared: Compared, entity_set: str, columns: tuple[str, ...]) -> None:
    alone = crm_rows(compared.alone, entity_set, columns)
    assert len(alone) > 3
    assert alone == crm_rows(compared.spread, entity_set, columns)


@pytest.mark.parametrize("table", ASKED)
def test_the_same_was_asked_of_the_crm(compared: Compared, table: str) -> None:
    alone, spread = asked_of_crm(compared.alone, table), asked_of_crm(compared.spread, table)
    assert alone.total() > 100
    assert alone - spread == spread - alone == Counter()


def test_a_window_is_cut_into_parts_that_leave_out_no_day() -> None:
    window = Window(date(2026, 1, 1), date(2026, 1, 7))
    parts = cut(window, 3)
    assert [(part.first_on.day, part.last_on.day) for part in parts] == [(1, 3), (4, 6), (7, 7)]
    assert cut(window, 0) == [window]


def test_days_that_the_workers_do_not_know_are_refused(alone: World) -> None:
    early = Window(date(2000, 1, 1), alone.last_on)
    with pytest.raises(ConfigurationError, match="INTAKE_PARTITIONS_FIRST_ON"):
        run_on_workers(replace(alone).settings, sources=list(NOUNS), window=early, address=alone.address)
