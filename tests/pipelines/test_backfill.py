"""A backfill of thirty days through the real web server and daemon, against the same days taken in piece by piece.

The daemon looks at backfills every 30 s, and starts runs as processes of their own, so this takes a minute or two.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from pipelines.assets.intake import NOUNS, chain_of
from pipelines.launch import Listen, run_in_process, served_ui
from pipelines.schedules import CRM_SYNC, FINANCE
from schemas.records import Window
from tests.pipelines.conftest import World
from tests.pipelines.end_states import CONSENT, CONTACT, FACTS, crm_rows, digest, facts

DAYS = 30
PIECES = (22, 7, 1)
POLLS_S = 240.0

LAUNCH = """mutation Launch($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """query Status($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status numPartitions runs { id status } error { message } } } }"""
RUNS = """query Runs { runsOrError { ... on Runs { results { status pipelineName } } } }"""


@dataclass(frozen=True)
class Backfilled:
    """Two systems of one organisation: one backfilled at once, one taken in piece by piece."""

    at_once: World
    in_pieces: World
    status: dict[str, Any]


@pytest.fixture(scope="module")
def backfilled(make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[Backfilled]:
    with (
        make_world(people=50, days=DAYS) as at_once,
        served_ui(at_once.settings, Listen(port=free_port()), address=at_once.address) as ui,
        make_world(people=50, days=DAYS, keys=at_once.settings.keys_dir()) as in_pieces,
    ):
        backfill_id = launch(ui.url, at_once.days())
        take_in_pieces(in_pieces)
        status = wait_for(lambda: backfill_of(ui.url, backfill_id), lambda s: s["status"] not in OPEN)
        wait_for(lambda: graphql(ui.url, RUNS)["runsOrError"]["results"], all_have_followed)
        yield Backfilled(at_once, in_pieces, status)


OPEN = ("REQUESTED", "QUEUED")


def test_thirty_days_are_one_run_and_end_well(backfilled: Backfilled) -> None:
    assert backfilled.status["status"] == "COMPLETED_SUCCESS", backfilled.status
    assert backfilled.status["numPartitions"] == DAYS
    assert [run["status"] for run in backfilled.status["runs"]] == ["SUCCESS"]


def test_the_crm_follows_a_backfill_by_itself(backfilled: Backfilled) -> None:
    assert backfilled.at_once.rows("select distinct state from intake.run") == [("done",)]
    assert backfilled.at_once.sandbox.emulator.control.rows("contacts")


@pytest.mark.parametrize("name", FACTS)
def test_the_store_is_the_same_at_once_and_in_pieces(backfilled: Backfilled, name: str) -> None:
    at_once, in_pieces = facts(backfilled.at_once, name), facts(backfilled.in_pieces, name)
    assert len(at_once) > 5
    assert at_once - in_pieces == in_pieces - at_once == set()
    assert digest(at_once) == digest(in_pieces)


@pytest.mark.parametrize(
    ("entity_set", "columns"), [("contacts", CONTACT), ("msdynmkt_contactpointconsent4s", CONSENT)]
)
def test_the_crm_is_the_same_at_once_and_in_pieces(
    backfilled: Backfilled, entity_set: str, columns: tuple[str, ...]
) -> None:
    at_once = crm_rows(backfilled.at_once, entity_set, columns)
    assert len(at_once) > 5
    assert at_once == crm_rows(backfilled.in_pieces, entity_set, columns)


def take_in_pieces(world: World) -> None:
    """Windows of several lengths one after the other, single days among them, each followed by the CRM."""
    assert sum(PIECES) == DAYS
    first_on: date = world.first_on
    for length in PIECES:
        window = Window(first_on, first_on + timedelta(days=length - 1))
        summary = run_in_process(world.settings, sources=list(NOUNS), window=window, address=world.address)
        assert summary.is_success, summary.problems
        first_on += timedelta(days=length)


def launch(url: str, days: list[str]) -> str:
    assets = [{"path": list(key.path)} for key in chain_of(list(NOUNS))]
    params = {"assetSelection": assets, "partitionNames": days, "title": "Thirty days"}
    answer = graphql(url, LAUNCH, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


def backfill_of(url: str, backfill_id: str) -> dict[str, Any]:
    found: dict[str, Any] = graphql(url, BACKFILL, id=backfill_id)["partitionBackfillOrError"]
    return found


def all_have_followed(runs: list[dict[str, Any]]) -> bool:
    """The CRM and finance each have a run behind the backfill, and nothing is under way."""
    followed = {run["pipelineName"] for run in runs} >= {CRM_SYNC, FINANCE}
    return followed and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs)


def graphql(url: str, query: str, **variables: Any) -> dict[str, Any]:
    answer = requests.post(f"{url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


def wait_for(ask: Callable[[], Any], is_enough: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + POLLS_S
    while not is_enough(answer := ask()) and time.monotonic() < deadline:
        time.sleep(1)
    assert is_enough(answer), answer
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
