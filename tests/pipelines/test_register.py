"""The record of processing: it is what the configuration and the code are, and stands in docs as it is made now."""

from pathlib import Path
from typing import Any

import pytest

from connectors.mappings import load_finance_feeds, load_mappings, load_policy
from connectors.store.metadata import METADATA
from pipelines.operations.register import as_markdown, make_register

ROOT = Path(__file__).parents[2]
POLICY = load_policy(ROOT / "config")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    feeds = [*load_mappings(ROOT / "config").values(), *load_finance_feeds(ROOT / "config").values()]
    return make_register(POLICY, feeds)


def test_the_record_in_docs_has_not_drifted(record: dict[str, Any]) -> None:
    written = (ROOT / "docs" / "register.md").read_text("utf-8")
    assert written == as_markdown(record), "run `crm-intake privacy register --out docs/register.md`"


def test_every_purpose_has_its_end_and_its_class(record: dict[str, Any]) -> None:
    assert {one["purpose"] for one in record["purposes"]} == set(POLICY.purposes)
    for purpose in record["purposes"]:
        assert purpose["ends"], purpose["purpose"]
        assert purpose["plan_class"], purpose["purpose"]
        assert purpose["description"], purpose["purpose"]


def test_every_table_and_recipient_and_feed_is_in_it(record: dict[str, Any]) -> None:
    assert {table["table"] for table in record["tables"]} == {table.fullname for table in METADATA.tables.values()}
    assert {"finance.party", "intake.consent_event", "intake.access_log"} <= {one["table"] for one in record["tables"]}
    assert {one["id"] for one in record["recipients"]} == set(POLICY.recipients)
    assert {"finance_template", "short_courses_registrations"} <= {one["feed"] for one in record["sources"]}


def test_a_recipient_outside_the_economic_area_is_named_as_a_transfer(record: dict[str, Any]) -> None:
    assert record["third_countries"] == []
    abroad = POLICY.recipients["catering"].model_copy(update={"country": "US"})
    policy = POLICY.model_copy(update={"recipients": {**POLICY.recipients, "catering": abroad}})
    assert make_register(policy, [])["third_countries"] == ["US"]


def test_every_kind_of_what_is_kept_has_its_time_from_when_it_is_counted(record: dict[str, Any]) -> None:
    kept = {one["what"]: (one["kept"], one["from"]) for one in record["retention"]}
    assert kept["evidence"] == ("1096 days", "the end of the consent")
    assert kept["landing"] == ("14 days", "landing") and kept["quarantine"] == ("90 days", "the fault's first sight")
    years = f"{POLICY.retention.evidence_days} days"
    ended = ("disclosed references", "answered requests", "ended holds", "ended accesses")
    assert [kept[what][0] for what in ended] == [years] * 4
    assert kept["log of readings"] == ("731 days", "the reading")


def test_a_changed_policy_changes_the_record(record: dict[str, Any]) -> None:
    longer = POLICY.purposes["event_delivery"].model_copy(update={"lives_after_days": 31})
    policy = POLICY.model_copy(update={"purposes": {**POLICY.purposes, "event_delivery": longer}})
    assert make_register(policy, [])["retention"] != record["retention"]
