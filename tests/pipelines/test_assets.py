"""Whole runs over the stand-ins: several days through every layer to the CRM, and what one bad source may not do."""

import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import dagster as dg
import psycopg
import pytest
from openpyxl import Workbook
from pydantic import SecretStr

from pipelines.launch import RunSummary, run_in_process
from tests.pipelines.conftest import World

SOURCES = ["short_courses", "webropol", "web_forms", "manual"]
MANUAL_TITLES = [
    *("Kirjattu", "Etunimi", "Sukunimi", "Sähköposti", "Puhelin", "Organisaatio", "Sanottu"),
    *("Tapa", "Sanamuoto", "Kirjaaja", "Tarkoitus", "Aihe", "Päätös", "Huomautus"),
]


def run(world: World, sources: list[str] = SOURCES, **changes: Any) -> RunSummary:
    settings = world.settings.model_copy(update=changes)
    return run_in_process(settings, sources=sources, window=world.window, address=world.address)


def metadata_of(world: World, asset: str) -> dict[str, Any]:
    event = world.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    assert event.asset_materialization is not None
    found = event.asset_materialization.metadata
    return {name: getattr(value, "records", None) or value.value for name, value in found.items()}


def check_metadata(world: World, asset: str, check: str) -> dict[str, Any]:
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    [record] = world.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.event is not None
    assert record.event.dagster_event is not None
    return dict(record.event.dagster_event.asset_check_evaluation_data.metadata)


@pytest.fixture(scope="module")
def first_run(world: World) -> RunSummary:
    return run(world)


def test_several_days_go_through_every_layer_into_the_crm(world: World, first_run: RunSummary) -> None:
    assert first_run.states == dict.fromkeys([*SOURCES, "crm", "finance"], "success"), first_run.problems
    assert world.rows("select distinct state from intake.run") == [("done",)]
    contacts = world.sandbox.emulator.control.rows("contacts")
    assert len(contacts) == world.rows("select count(*) from intake.crm_row where table_name = 'contact'")[0][0] > 10
    assert metadata_of(world, "ops__reconciliation")["rows_compared"] > len(contacts)
    assert metadata_of(world, "ops__reconciliation")["differences_unexplained"] == 0


def test_each_day_of_the_window_is_materialised(world: World, first_run: RunSummary) -> None:
    for asset in ("raw_manual__entries", "staged_webropol__responses", "core_short_courses__registrations"):
        assert world.instance.get_materialized_partitions(dg.AssetKey(asset)) == set(world.days())


def test_the_counts_shown_are_the_stores(world: World, first_run: RunSummary) -> None:
    shown = metadata_of(world, "core_short_courses__registrations")
    states = ("quarantined", "withheld", "applied", "unchanged")
    counted = world.rows(
        f"select sum(rows_read), {', '.join(f'sum({state})' for state in states)} from intake.run_count"
        " where source = 'short_courses' and run_id = :run_id",
        run_id=first_run.run_ids[0],
    )
    assert [(shown["rows_read"], *(shown[f"rows_{state}"] for state in states))] == counted
    assert shown["rows_read"] == sum(shown[f"rows_{state}"] for state in states) > 0
    assert shown["days_received"] == f"{world.first_on} to {world.last_on}"


def test_every_rule_of_the_gate_is_shown_with_its_counts(world: World, first_run: RunSummary) -> None:
    rules = [row.data for row in check_metadata(world, "staged_short_courses__registrations", "gate")["rules"].records]
    by_feed = Counter(rule["feed"] for rule in rules)
    assert set(by_feed) == {"short_courses_registrations", "short_courses_open_studies"}
    assert min(by_feed.values()) >= 10
    assert all(rule["passed"] and not rule["could_not_run"] and rule["batches"] for rule in rules)


def test_pictures_are_small_enough_for_the_event_log(world: World, first_run: RunSummary) -> None:
    shown = metadata_of(world, "ops__funnel")
    assert shown["stages"][0].data["stage"] == "addresses known"
    for name in ("funnel", "received"):
        assert shown[name].startswith("![")
        assert "data:image/png;base64," in shown[name]
        assert len(shown[name]) < 100_000


def test_running_the_same_days_again_changes_nothing_and_sends_nothing(world: World, first_run: RunSummary) -> None:
    facts = (
        "select count(*), sum(version) from intake.contact_point union all select count(*), 0 from intake.consent_event"
    )
    before = world.rows(facts)
    requests = world.sandbox.emulator.control.last_sequence()
    again = run(world)
    assert again.is_success, again.problems
    assert world.rows(facts) == before
    assert metadata_of(world, "crm__plan")["intents"] == 0
    sent = [r["method"] for r in world.sandbox.emulator.control.requests(since=requests) if "/api/data/" in str(r)]
    assert set(sent) <= {"GET"}


@dataclass(frozen=True)
class BadRun:
    """A run in which a source cannot be reached, one is reached in part, and one is stopped by the gate."""

    summary: RunSummary
    withdrawn: str
    contact_id: str


@pytest.fixture(scope="module")
def bad_run(world: World, first_run: RunSummary) -> BadRun:
    address, contact_id = open_contact(world)
    drop_manual(world, address)
    return BadRun(run(world, webropol_password=SecretStr("wrong"), short_courses_url=None), address, contact_id)


def test_a_bad_source_fails_by_itself_and_the_crm_follows(bad_run: BadRun) -> None:
    expected = dict.fromkeys(["webropol", "web_forms", "crm", "finance"], "success")
    assert bad_run.summary.states == expected | dict.fromkeys(["short_courses", "manual"], "failure")


def test_a_source_of_which_no_feed_is_reached_goes_no_further(world: World, bad_run: BadRun) -> None:
    [failure] = bad_run.summary.problems["short_courses"]
    assert failure.startswith("raw_short_courses__registrations: ConfigurationError: ")
    assert steps_of(world, bad_run.summary, "short_courses", dg.DagsterEventType.STEP_START) == {
        "raw_short_courses__registrations"
    }


def test_a_door_that_is_shut_does_not_keep_the_sources_files_back(world: World, bad_run: BadRun) -> None:
    [problem] = bad_run.summary.problems["webropol"]
    assert problem.startswith("raw_webropol__responses, feeds_delivered: webropol_registrations_api: ")
    assert "wrong" not in problem
    run_id = run_id_of(bad_run.summary, "webropol")
    assert world.rows("select state from intake.run where run_id = :id", id=run_id) == [("failed",)]


def test_a_blocked_source_is_not_merged_and_says_why(world: World, bad_run: BadRun) -> None:
    done = steps_of(world, bad_run.summary, "manual", dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert done == {"raw_manual__entries", "staged_manual__entries"}
    gate, batches = sorted(p for p in bad_run.summary.problems["manual"] if p.startswith("staged_manual__entries, "))[
        ::-1
    ]
    assert "gate" in gate
    assert "1 of 1 batches stopped" in batches
    [stopped] = check_metadata(world, "staged_manual__entries", "batches")["stopped"].records
    assert (stopped.data["feed"], stopped.data["stop_code"]) == ("manual_entries", "unmapped_column")
    assert stopped.data["stop_remedy"]


def test_a_withdrawal_in_a_blocked_source_still_lands(world: World, bad_run: BadRun) -> None:
    contacts = {row["contactid"]: row for row in world.sandbox.emulator.control.rows("contacts")}
    assert contacts.get(bad_run.contact_id, {"donotbulkemail": True})["donotbulkemail"] is True
    states = world.rows(
        "select distinct s.state from intake.consent_state s join intake.contact_point c using (contact_point_id)"
        " where c.address = :address and s.purpose = 'marketing'",
        address=bad_run.withdrawn,
    )
    assert states == [("withdrawn",)]


def test_no_person_is_in_what_dagster_keeps(world: World, bad_run: BadRun) -> None:
    words = {address for (address,) in world.rows("select address from intake.contact_point")}
    words |= {phone for (phone,) in world.rows("select phone from intake.person where phone is not null")}
    words |= {"merkki", "FI9999"}
    with psycopg.connect(world.address.dagster.uri_adbc) as conn:
        kept = [row[0] for row in conn.execute("select event from event_logs union all select run_body from runs")]
    assert len(words) > 50
    assert len(kept) > 100
    assert [word for word in words if any(word in text for text in kept)] == []


def run_id_of(summary: RunSummary, name: str) -> UUID:
    return summary.run_ids[list(summary.states).index(name)]


def steps_of(world: World, summary: RunSummary, name: str, kind: dg.DagsterEventType) -> set[str | None]:
    logs = world.instance.all_logs(str(run_id_of(summary, name)), of_type=kind)
    return {log.dagster_event.step_key for log in logs if log.dagster_event}


def open_contact(world: World) -> tuple[str, str]:
    """A contact that may be mailed, of an address that is one contact's alone."""
    contacts = world.sandbox.emulator.control.rows("contacts")
    per_address = Counter(contact.get("emailaddress1") for contact in contacts)
    contact = next(c for c in contacts if c.get("donotbulkemail") is False and per_address[c["emailaddress1"]] == 1)
    return contact["emailaddress1"], contact["contactid"]


def drop_manual(world: World, address: str) -> None:
    """The staff's template with a column that nobody has mapped, and in it a withdrawal."""
    told = {
        "Kirjattu": "20.11.2026",
        "Sanottu": "20.11.2026",
        "Sähköposti": address,
        "Tapa": "puhelin",
        "Sanamuoto": "Ei enää postia.",
        "Kirjaaja": "kirjaaja1",
        "Tarkoitus": "marketing",
        "Päätös": "peruu",
        "Uusi sarake": "x",
    }
    book = Workbook()
    titles = [*MANUAL_TITLES, "Uusi sarake"]
    book.active.append(titles)
    book.active.append([told.get(title) for title in titles])
    path = world.settings.dropped_files_dir() / "kirjaukset_20261120_b.xlsx"
    book.save(path)
    late = datetime.combine(world.last_on, time(23, 59), ZoneInfo("Europe/Helsinki")).timestamp()
    os.utime(path, (late, late))
