"""The door in a process of its own: under load, over a restart of the database, and as its benchmarks ask it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.clicks import measure_clicks
from benchmarks.consent_answers import measure_answers
from benchmarks.door_and_files import report_clicks
from benchmarks.door_crowd import seed_crowd
from benchmarks.door_load import DoorUnderLoad, door_under_load, load_door
from benchmarks.report import write_report
from tests.invariants.world import empty_store
from tests.sizes import sized
from tests.throwaway import server_directory

PER_SECOND, SECONDS = sized(40, 200), sized(2, 60)
# Nobody acts twice, or a lost act could hide behind one that was kept.
PEOPLE = PER_SECOND * SECONDS


@pytest.fixture(scope="module")
def one_door() -> Iterator[DoorUnderLoad]:
    with (
        server_directory() as directory,
        door_under_load(directory, PEOPLE, is_durable=sized(0, 1) == 1) as running,
    ):
        yield running


@pytest.fixture
def door(one_door: DoorUnderLoad) -> DoorUnderLoad:
    """The one door over people who all get newsletters."""
    owner = sa.create_engine(one_door.address.url_psycopg)
    empty_store(owner)
    owner.dispose()
    seed_crowd(one_door.address, PEOPLE)
    return one_door


def test_under_load_every_request_is_answered(door: DoorUnderLoad) -> None:
    load = load_door(door, per_second=PER_SECOND, seconds=SECONDS)
    assert load.statuses.keys() == {200}, load.statuses
    assert load.acted and door.lost(load.acted) == 0


def test_no_act_that_was_answered_is_lost_with_a_restart_of_the_database(door: DoorUnderLoad) -> None:
    load = load_door(door, per_second=PER_SECOND, seconds=SECONDS, restart_at_s=SECONDS / 2)
    assert load.statuses.keys() <= {200, 503}, load.statuses
    assert load.acted and door.lost(load.acted) == 0


def test_each_click_comes_to_the_crm_and_the_report_says_how_soon(door: DoorUnderLoad, tmp_path: Path) -> None:
    measured = measure_clicks(door, clicks=sized(3, 200), per_second=5)
    assert len(measured.to_crm) == sized(3, 200) and all(0 < seconds < 60 for seconds in measured.to_crm)
    write_report(report_clicks(measured), tmp_path, cores=2, seed=1)
    told = json.loads((tmp_path / "b8.json").read_text())
    assert 0 < told["limit"]["value"] < max(told["to_crm_s"])
    assert "| shut in the CRM | " in (tmp_path / "b8.md").read_text()


def test_the_provider_answers_each_question_of_its_benchmark_rightly(door: DoorUnderLoad) -> None:
    assert len(measure_answers(door, questions=20)) == 20
