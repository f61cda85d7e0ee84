"""No check of the doctor passes on what it could not see: hidden, unset, partly readable, or written as an expression."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from pipelines.transforms.diagnosis.environment_rules import privileges_least
from pipelines.transforms.diagnosis.facts import SOURCES, People
from pipelines.transforms.diagnosis.purpose_rules import mails_of
from schemas.tables import CONSENT, CONTACT
from tests.healthy_crm import (
    DENIED,
    POLICY,
    ROLE,
    healthy_environment,
    healthy_setup,
    policy_with,
    purpose,
    table_facts,
    told,
    verdicts,
    with_list,
)
from tests.pipelines.clinic import flow

OPT_IN = 534120001
# Which checks rest on the rows of which table.
RESTS_ON = {
    "msdynmkt_purpose": {"D3", "D11", "D14", "purposes"},
    "msdynmkt_topic": {"D14"},
    "msdynmkt_compliancesettings4": {"D11", "D12", "D13"},
    "msdynmkt_email": {"D14"},
    "msdynmkt_journey": {"D14"},
    "workflow": {"D4"},
    "msdynmkt_consentprovider": {"D12"},
    "msdynmkt_featureconfiguration": {"D1"},
    "msdynmkt_matchingstrategy": {"D9"},
    "msdynmkt_matchingstrategyattribute": {"D9"},
    "list": {"lists"},
    "organization": {"language"},
    "contact": {"D2", "D8", "D10"},
    "msdynmkt_contactpointconsent4": {"D2", "D5", "D6", "D8"},
}


def person(**changes: Any) -> dict[str, Any]:
    plain = {"emailaddress1": "aino@example.org", "statecode": 0, "donotbulkemail": False, "donotemail": False}
    return {"contactid": str(UUID(int=1)), **plain, **changes}


@pytest.mark.parametrize("logical_name", RESTS_ON)
def test_rows_that_we_see_a_part_of_are_not_judged_as_if_they_were_all(logical_name: str) -> None:
    healthy = healthy_environment()
    narrow = {**dict(healthy.privileges), f"prvread{logical_name}": "Local"}  # type: ignore[arg-type]
    policy = with_list(POLICY)
    rule = {"msdynmkt_matchingstrategyid": "a", "msdynmkt_targetentity": "contact"}
    two_columns = [{"_msdynmkt_matchingstrategyid_value": "a"}] * 2
    [list_id] = policy.lists()
    news = {"listid": str(list_id), "createdfromcode": 2, "type": False}
    setup = healthy_setup(matching=[rule], matched_attributes=two_columns, lists=[news])
    assert told(setup, policy=policy) == {}
    found = told(setup, environment=replace(healthy, privileges=narrow), policy=policy)
    assert {name for name, verdict in verdicts(found).items() if verdict == "unknown"} == RESTS_ON[logical_name]
    assert not any(one.holds_back for one in found.values())


def test_every_table_that_is_read_is_among_those_looked_at() -> None:
    read = {source.logical_name for source in SOURCES.values()} | {CONTACT.logical_name, CONSENT.logical_name}
    assert read == set(RESTS_ON)


@pytest.mark.parametrize(
    ("hidden", "checks"), [({"donotbulkemail": None}, {"D2", "D8"}), ({"donotemail": None}, {"D8"})]
)
def test_a_flag_that_is_hidden_from_us_is_neither_set_nor_clear(hidden: dict[str, Any], checks: set[str]) -> None:
    found = told(people=People([person(**hidden)], []))
    assert verdicts(found) == dict.fromkeys(checks, "unknown")


def test_a_purpose_of_no_known_type_is_neither_for_tracking_nor_for_mail() -> None:
    strange = purpose(UUID(int=9), model=534120001) | {"msdynmkt_type": None}
    found = told(healthy_setup(purposes=[*healthy_setup().of("purposes"), strange]))
    assert verdicts(found) == {"D11": "unknown", "D14": "unknown"}


def test_a_live_mail_without_a_purpose_is_a_gap_and_a_draft_is_not() -> None:
    mail = {"msdynmkt_emailid": "m", "statuscode": 2, "_msdynmkt_purpose_value": None}
    assert verdicts(told(healthy_setup(mails=[mail]))) == {"D14": "unknown"}
    assert told(healthy_setup(mails=[mail | {"statuscode": 1}])) == {}


@pytest.mark.parametrize("sent", [{"type": "Email"}, {"type": "Email", "parameters": {"contentId": None}}])
def test_a_journey_that_sends_a_mail_without_naming_it_cannot_be_read(sent: dict[str, Any]) -> None:
    named = {"type": "Email", "parameters": {"contentId": "A"}}
    assert mails_of(json.dumps({"actions": {"a": named}})) == {"a"}
    assert mails_of(json.dumps({"actions": {"a": named, "b": sent}})) is None


def test_a_matching_rule_that_does_not_say_whom_it_is_for_is_a_gap() -> None:
    rule = {"msdynmkt_matchingstrategyid": "r", "msdynmkt_targetentity": None}
    found = told(healthy_setup(matching=[rule]))
    assert verdicts(found) == {"D9": "unknown"}


@pytest.mark.parametrize(
    ("definition", "verdict"),
    [
        (flow(value=OPT_IN, trigger="@parameters('table')"), "unknown"),
        (flow(value=OPT_IN, writes="@parameters('table')"), "unknown"),
        (flow(value=OPT_IN, trigger="@parameters('table')", writes="tasks"), None),
        (flow(value=OPT_IN, trigger="lead", writes="@parameters('table')"), None),
        ('{"properties": {"definition": {"actions": {}}}}', "unknown"),
    ],
)
def test_a_flow_whose_tables_only_a_run_of_it_tells_is_a_gap(definition: str, verdict: str | None) -> None:
    found = told(healthy_setup(flows=[{"workflowid": str(UUID(int=3)), "clientdata": definition}]))
    assert verdicts(found) == ({"D4": verdict} if verdict else {})


def test_a_centre_of_a_wording_that_nobody_registered_is_named_without_a_page_of_ours_too() -> None:
    own = {
        "msdynmkt_compliancesettings4id": str(UUID(int=5)),
        "msdynmkt_name": "Own",
        "msdynmkt_consentlinktype": 534120003,
    }
    found = told(healthy_setup(profiles=[own]), policy=policy_with(preference_page=None))["D13"]
    assert found.holds_back
    assert "Own" in found.evidence


def test_a_link_that_climbs_out_of_our_page_does_not_lead_to_it() -> None:
    policy = policy_with(preference_page="https://example.org/choices")
    link = "https://example.org/choices/../other"
    profile = {"msdynmkt_name": "News", "msdynmkt_consentlinktype": 534120002, "msdynmkt_consentlink": link}
    assert verdicts(told(healthy_setup(profiles=[profile]), policy=policy)) == {"D13": "fails"}


@pytest.mark.parametrize(
    ("facts", "verdict", "said"),
    [
        ({"type": "String"}, "unknown", "does not tell the length of: lastname"),
        ({"type": "String", "max_length": 50, "is_writable": False}, "fails", "lets nobody write: lastname"),
        ({"type": "String", "max_length": 50, "is_secured": True}, "warning", "guards by column security"),
    ],
)
def test_a_column_that_is_closed_or_does_not_tell_its_length_is_not_ok(
    facts: dict[str, Any], verdict: str, said: str
) -> None:
    contact = table_facts(CONTACT)
    closed = replace(contact, columns={**contact.columns, "lastname": facts})
    found = told(environment=healthy_environment(contact=closed))
    assert verdicts(found) == {"columns": verdict}
    assert said in found["columns"].evidence


def test_every_application_user_of_a_pool_is_looked_at() -> None:
    healthy = healthy_environment()
    held = dict(healthy.privileges)  # type: ignore[arg-type]
    poor = {name: depth for name, depth in held.items() if name != "prvwritecontact"}
    pool = replace(healthy, privileges_of_others=(held, poor, DENIED))
    findings = privileges_least(pool, ROLE)
    assert [(str(one.verdict), one.evidence) for one in findings] == [
        ("fails", "Application user 3. Missing, 1 of 2: prvWriteContact."),
        ("unknown", f"Application user 4. {DENIED.reason}"),
    ]
