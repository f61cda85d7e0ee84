"""The record of processing: it is what the configuration and the code are, and stands in docs as it is made now."""

from pathlib import Path
from typing import Any

import pytest

from connectors.mappings import load_finance_feeds, load_mappings, load_policy
from connectors.store.metadata import METADATA
from connectors.store.retention import DETAILS, Limits
from pipelines.operations.register import as_markdown, make_register
from pipelines.operations.retention import limits_of, rules_of
from schemas.policy import Policy
from schemas.purposes import Begin

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


def test_a_changed_policy_changes_the_record(record: dict[str, Any]) -> None:
    longer = POLICY.purposes["event_delivery"].model_copy(update={"lives_after_days": 31})
    policy = POLICY.model_copy(update={"purposes": {**POLICY.purposes, "event_delivery": longer}})
    assert make_register(policy, [])["retention"] != record["retention"]


def without(*begins: Begin) -> Policy:
    """The policy without what begins so."""
    left = {name: purpose for name, purpose in POLICY.purposes.items() if purpose.begins not in begins}
    return POLICY.model_copy(update={"purposes": left})


def test_retention_deletes_by_the_policys_days_and_nothing_for_a_purpose_that_is_not_there() -> None:
    delivery = ("course_delivery", "event_delivery")
    days = {
        "evidence": 1096,
        "quarantine": 90,
        "with_phone": (*delivery, "disclosure:accommodation", "disclosure:transport"),
    }
    days |= {"with_organisation": (*delivery, "networking"), "with_place": delivery}
    assert limits_of(POLICY) == Limits(30, 730, 730, False, 183, **days)
    bare = without(Begin.EVENT_REGISTRATION, Begin.COURSE_REGISTRATION, Begin.ENQUIRY, Begin.SALE_WITH_NOTICE)
    gone = {name: tuple(one for one in days[name] if one in bare.purposes) for name in DETAILS}
    assert limits_of(bare) == Limits(None, None, 0, False, None, **days | gone)
    related = POLICY.purposes["related_events"].model_copy(
        update={"begins": Begin.REGISTRATION_WITH_NOTICE, "lives_after_days": 5}
    )
    anybody = POLICY.model_copy(update={"purposes": {**POLICY.purposes, "related_events": related}})
    assert limits_of(anybody) == Limits(30, 730, 5, True, 183, **days)


def test_each_rule_of_retention_has_its_days_and_the_class_of_the_plan() -> None:
    assert [(rule["rule"], rule["days"], rule["class_id"]) for rule in rules_of(POLICY)] == [
        ("event_answers", 30, "07.03.01"),
        ("event_registrations", 30, "07.03.01"),
        ("course_answers", 730, "05.04.01"),
        ("course_registrations", 730, "05.04.01"),
        ("enquiry_messages", 183, "07.01.01"),
        ("evidence", 1096, "07.02.02"),
        ("contact_details", 0, None),
        ("disclosed_references", 1096, "07.02.02"),
        ("answered_requests", 1096, "07.02.02"),
        ("log_of_readings", 731, None),
        ("quarantine", 90, "00.02.01"),
        ("landing", 14, "00.02.01"),
        ("images_of_writes", 30, "00.02.02"),
        ("images_of_readings", 30, "00.02.02"),
        *((rule, 0, None) for rule in ("people", "addresses", "occasions", "submission_ids")),
    ]
    assert "enquiry_messages" not in {rule["rule"] for rule in rules_of(without(Begin.ENQUIRY))}
