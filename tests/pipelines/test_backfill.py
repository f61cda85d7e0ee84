"""A backfill of thirty days through the real web server and daemon, against the same days taken in piece by piece.

The daemon looks at backfills every 30 s, and starts runs as processes of their own, so this takes a minute or two.
"""

import hashlib
import json
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
from pipelines.launch import run_in_process, served_ui
from schemas.records import Window
from tests.pipelines.conftest import World

DAYS = 30
PIECES = (22, 7, 1)
POLLS_S = 240.0

# What the store says of whom, without ids that are random or made of what came first, times of recording and runs.
FACTS = {
    "addresses": "select address_key, is_role_address from intake.contact_point",
    "people": "select c.address_key, p.given_name, p.family_name, p.phone, p.organisation from intake.person p"
    " join intake.contact_point c using (contact_point_id)",
    "purposes": "select c.address_key, p.given_name, u.purpose, u.begins_at, u.ends_at from intake.person_purpose u"
    " join intake.person p using (person_id) join intake.contact_point c on c.contact_point_id = u.contact_point_id",
    "registrations": "select source, submission_id, status, registered_at, is_sale, is_payer, notice_shown"
    " from intake.registration",
    "events": "select encode(event_key, 'hex'), purpose, topic, value, actor, clock, occurred_at, effective_at, reason, source"
    " from intake.consent_event",
    "consents": "select c.address_key, s.purpose, s.topic, s.state from intake.consent_state s"
    " join intake.contact_point c using (contact_point_id)",
}
CONTACT = ("firstname", "lastname", "emailaddress1", "mobilephone", "donotbulkemail", "followemail")
CONSENT = ("msdynmkt_contactpointvalue", "msdynmkt_value", "_msdynmkt_purposeid_value", "_msdynmkt_topicid_value")

LAUNCH = """mutation Launch($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """query Status($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status numPartitions runs { id status } error { message } } } }"""
RUNS = """query Runs { runsOrError(filter: {pipelineName: "crm_sync"}) {
  ... on Runs { results { id status } } } }"""


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
        served_ui(at_once.settings, port=free_port(), address=at_once.address) as ui,
        make_world(people=50, days=DAYS, keys=at_once.settings.keys_dir()) as in_pieces,
    ):
        backfill_id = launch(ui.url, at_once.days())
        take_in_pieces(in_pieces)
        status = wait_for(lambda: backfill_of(ui.url, backfill_id), lambda s: s["status"] not in OPEN)
        wait_for(lambda: graphql(ui.url, RUNS)["runsOrError"]["results"], has_ended)
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


def facts(world: World, name: str) -> set[tuple[str, ...]]:
    return {tuple(map(str, row)) for row in world.rows(FACTS[name])}


def digest(rows: set[tuple[str, ...]]) -> str:
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def crm_rows(world: World, entity_set: str, columns: tuple[str, ...]) -> list[list[str]]:
    """The rows of a set; in lower case, since an address is spelt as in the delivery that came first, here or there."""
    rows = world.sandbox.emulator.control.rows(entity_set)
    return sorted([str(row.get(column)).lower() for column in columns] for row in rows)


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


def has_ended(runs: list[dict[str, Any]]) -> bool:
    return bool(runs) and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs)


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
