"""The policy: what the privacy statement promises can be written down, and nothing that the law does not allow."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from connectors.mappings import load_mappings, load_policy
from pipelines.operations.retention import rules_of
from schemas.policy import Policy
from schemas.purposes import End

CONFIG = Path(__file__).parents[2] / "config"
POLICY = load_policy(CONFIG)
PROFILE = {"wording": "I want news.", "language": "en", "version": "1"}
ALL = {
    *("marketing", "course_delivery", "event_delivery", "related_events", "enquiry", "networking", "suppression"),
    *("disclosure:payment", "disclosure:accommodation", "disclosure:catering", "disclosure:transport"),
    *("tracking", "invoicing", "statistics"),
}

# What is changed under purposes or at the top, and a word of the refusal.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("marketing", {"ends": ["erasure"]}, "withdrawn at any time"),
    ("related_events", {"ends": ["expiry"]}, "objected to"),
    ("networking", {"ends": ["expiry"]}, "objected to"),
    ("course_delivery", {"lives_after_days": None}, "together"),
    ("enquiry", {"ends": ["expiry", "objection", "case_closed"]}, "Input should be"),
    ("marketing", {"lives_after_days": 30}, "together"),
    ("marketing", {"contact_columns": ["firstname", "crmi_diet"]}, "not a column"),
    ("marketing", {"contact_columns": ["firstname", "donotbulkemail"]}, "not a column"),
    ("disclosure:catering", {"discloses": ["iban"]}, "not a field"),
    ("disclosure:catering", {"recipients": ["payment"]}, "one recipient"),
    ("disclosure:catering", {"begins": "participation"}, "begins with one"),
    ("disclosure:astrologer", {"basis": "contract", "begins": "disclosure"}, "one recipient"),
    ("marketing", {"recipients": ["payment"], "discloses": ["email"]}, "disclosed to nobody"),
    ("marketing", {"recipients": ["astrologer"]}, "not under recipients"),
    ("invoicing", {"contact_columns": ["emailaddress1"]}, "finance's"),
    ("statistics", {"smallest_cell": None}, "smallest_cell"),
    ("statistics", {"smallest_cell": 2}, "greater than or equal to 3"),
    ("networking", {"begins": "event_registration"}, "only one can begin"),
    ("marketing", {"basis": "legitimate_interest", "ends": ["withdrawal", "objection"]}, "must be consent"),
]


def changed(purpose: str, change: dict[str, Any]) -> Policy:
    written = yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))
    written["purposes"][purpose] = written["purposes"].get(purpose, {}) | change
    return Policy.model_validate(written)


def test_the_policy_has_every_purpose_of_the_statement() -> None:
    assert set(POLICY.purposes) == ALL
    assert POLICY.purposes["marketing"].contact_columns == ("firstname", "lastname", "emailaddress1")
    assert POLICY.purposes["related_events"].basis != "consent"
    assert {name for name, one in POLICY.purposes.items() if one.contact_columns} == {
        *("marketing", "course_delivery", "event_delivery", "related_events", "enquiry")
    }


@pytest.mark.parametrize(("purpose", "change", "word"), REFUSED)
def test_what_the_law_or_the_statement_forbids_is_refused(purpose: str, change: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        changed(purpose, change)


def test_every_rule_of_retention_names_its_class_of_the_plan() -> None:
    rules = {rule["rule"]: rule for rule in rules_of(POLICY)}
    assert all(rule["class_id"] for rule in rules.values())
    assert all(purpose.class_id for purpose in POLICY.purposes.values())
    assert rules["course_registrations"]["days"] == rules["course_answers"]["days"] == 730
    assert rules["evidence"]["days"] == rules["disclosed_references"]["days"] == 1096
    assert POLICY.purposes["marketing"].lives_after_days is None
    assert End.OCCASION_END in POLICY.purposes["disclosure:catering"].ends
    assert POLICY.purposes["disclosure:catering"].lives_after_days is None


def test_every_notice_that_a_mapping_names_is_in_the_policy() -> None:
    named = {c.notice_version for mapping in load_mappings(CONFIG).values() for c in mapping.consents}
    assert named - {None} <= set(POLICY.notices)


@pytest.mark.parametrize(
    "changes",
    [
        {"preference_notice": None},
        {"preference_notice": "1999"},
        {"registered_profiles": {"00000000-0000-0000-0000-000000000001": {**PROFILE, "notice_version": "1999"}}},
    ],
    ids=["none", "unknown", "profile"],
)
def test_what_people_are_shown_beside_a_wording_is_a_notice_of_the_policy(changes: dict[str, Any]) -> None:
    written = yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))
    written["crm"] |= changes
    with pytest.raises(ValidationError, match="one of those under notices"):
        Policy.model_validate(written)


@pytest.mark.parametrize("column", ["crmi_preferencelinks", "new_link", ""])
def test_the_column_of_our_links_has_its_one_name_or_none(column: str) -> None:
    written = yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))
    written["crm"]["preference_link_column"] = column
    with pytest.raises(ValidationError, match="preference_link_column"):
        Policy.model_validate(written)
    written["crm"]["preference_link_column"] = None
    assert Policy.model_validate(written).crm.preference_link_column is None


@pytest.mark.parametrize("lists", [{"astrology": 1}, {"training": 1, "rdi": 1}])
def test_a_marketing_list_mirrors_one_topic_that_there_is(lists: dict[str, int]) -> None:
    written = yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))
    ids = {topic: f"00000000-0000-0000-0000-{number:012}" for topic, number in lists.items()}
    written["crm"]["purposes"]["marketing"]["lists"] = ids
    with pytest.raises(ValidationError, match=r"not a topic of this purpose|one topic only"):
        Policy.model_validate(written)
