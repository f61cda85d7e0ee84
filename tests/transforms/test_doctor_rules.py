"""The doctor's rules on facts made by hand: three values, what holds a run back, and no person in any evidence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pipelines.transforms.diagnosis.catalogue import CHECKS, PROTECTING, Facts, diagnose, endangering, refusals
from pipelines.transforms.diagnosis.facts import (
    DEFAULT_COMMERCIAL,
    PROTECTING_SOURCES,
    SOURCES,
    Environment,
    People,
    Setup,
)
from pipelines.transforms.diagnosis.findings import Diagnosis, Gap, Verdict, fails, listed, ok, unknown, warning
from sandbox.crm_seed import journey_definition
from schemas.policy import RegisteredProfile
from schemas.tables import CONSENT, CONTACT, TABLES
from tests.healthy_crm import (
    DENIED,
    LINK,
    NEWS,
    PAGE,
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

DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_facts_of_good_health_give_nothing_but_ok() -> None:
    assert told() == {}


def test_what_could_not_be_read_is_neither_right_nor_wrong() -> None:
    nothing = Facts(
        Setup(dict.fromkeys(SOURCES, DENIED)),
        People(DENIED, DENIED),
        Environment(dict.fromkeys(TABLES, DENIED), DENIED),
    )
    found = {d.check.check_id: d.verdict for d in diagnose(nothing, with_list(POLICY), ROLE)}
    assert found == dict.fromkeys(found, Verdict.UNKNOWN)
    assert endangering(nothing.setup, POLICY) == []


def test_the_worst_finding_decides_and_what_is_certain_goes_before_what_is_not_known() -> None:
    def of(*findings: Any) -> Verdict:
        return Diagnosis(CHECKS[0], findings).verdict

    assert of(*ok("a"), unknown("b"), warning("c"), fails("d")) is Verdict.FAILS
    assert of(*ok("a"), unknown("b"), warning("c")) is Verdict.WARNING
    assert of(*ok("a"), unknown("b")) is Verdict.UNKNOWN
    assert of() is Verdict.UNKNOWN


def test_the_checks_that_protect_are_those_that_a_run_asks_from_the_sources_it_reads() -> None:
    assert {check.check_id for check in CHECKS if check.protects} == set(PROTECTING)
    read = Setup({name: healthy_setup().of(name) for name in PROTECTING_SOURCES})
    assert endangering(read, POLICY) == []


def test_a_refusal_names_the_check_what_was_found_and_the_remedy() -> None:
    open_ = healthy_setup(purposes=[*healthy_setup().of("purposes"), purpose(UUID(int=9), model=534120001)])
    [reason] = refusals(endangering(open_, POLICY))
    assert reason.startswith("D14: Not Restrictive")
    assert "Purpose 00000000-0000-0000-0000-000000000009" in reason
    assert "Remedy: Make commercial purposes Restrictive" in reason


@pytest.mark.parametrize("model", [534120001, 534120002])
def test_a_default_purpose_that_is_not_restrictive_fails_and_an_absent_one_does_not(model: int) -> None:
    mine = [row for row in healthy_setup().of("purposes") if row["msdynmkt_purposeid"] != str(DEFAULT_COMMERCIAL)]
    assert told(healthy_setup(purposes=mine)) == {}
    found = told(healthy_setup(purposes=[*mine, purpose(DEFAULT_COMMERCIAL, model=model)]))
    assert verdicts(found) == {"D3": "fails"}
    assert verdicts(told(healthy_setup(purposes=[*mine, purpose(DEFAULT_COMMERCIAL, model=None)]))) == {"D3": "unknown"}


def test_a_missing_purpose_and_one_of_another_type_fail() -> None:
    rows = list(healthy_setup().of("purposes"))
    assert "purposes" in told(healthy_setup(purposes=rows[1:]))
    other = [{**rows[0], "msdynmkt_type": 534120002}, *rows[1:]]
    assert told(healthy_setup(purposes=other))["purposes"].holds_back


@pytest.mark.parametrize(
    ("link", "is_ours"),
    [
        (PAGE, True),
        ("https://preferences.example.org", True),
        ("https://PREFERENCES.example.org/fi?x=1", True),
        ("http://preferences.example.org/", False),
        ("https://preferences.example.org.example.net/", False),
        ("https://preferences.example.org@example.net/", False),
        ("", False),
        (None, False),
    ],
)
def test_a_profile_leads_to_our_page_only_by_its_own_scheme_and_host(link: str | None, is_ours: bool) -> None:
    profile = {"msdynmkt_name": "News", "msdynmkt_consentlinktype": 534120002, "msdynmkt_consentlink": link}
    assert ("D13" not in told(healthy_setup(profiles=[profile]))) == is_ours


def test_a_page_in_a_folder_is_not_another_folder_that_begins_alike() -> None:
    policy = policy_with(preference_page="https://example.org/choices")
    profile = {"msdynmkt_name": "News", "msdynmkt_consentlinktype": 534120002}
    for link, is_ours in (("https://example.org/choices/fi", True), ("https://example.org/choices-of-others", False)):
        setup = healthy_setup(profiles=[{**profile, "msdynmkt_consentlink": link}])
        assert ("D13" not in told(setup, policy=policy)) == is_ours


def test_without_a_page_or_a_profile_nobody_knows_where_people_are_led() -> None:
    assert verdicts(told(policy=policy_with(preference_page=None))) == {"D13": "unknown"}
    assert verdicts(told(healthy_setup(profiles=[]))) == {"D13": "unknown"}


def test_a_centre_of_the_crm_is_a_warning_where_its_wording_is_registered_and_a_danger_where_not() -> None:
    own = {
        "msdynmkt_compliancesettings4id": str(UUID(int=5)),
        "msdynmkt_name": "Own",
        "msdynmkt_consentlinktype": 534120003,
    }
    assert told(healthy_setup(profiles=[own]))["D13"].holds_back
    unset = {**own, "msdynmkt_consentlinktype": None}
    assert verdicts(told(healthy_setup(profiles=[unset]))) == {"D13": "unknown"}
    wording = RegisteredProfile(wording="I want news.", language="en", version="1", notice_version="1")
    found = told(healthy_setup(profiles=[own]), policy=policy_with(registered_profiles={UUID(int=5): wording}))
    assert verdicts(found) == {"D13": "warning"}
    assert not found["D13"].holds_back


def test_the_consent_provider_that_the_policy_names_may_decide() -> None:
    profile = {**healthy_setup().of("profiles")[0], "_msdynmkt_consentproviderid_value": str(UUID(int=7))}
    setup = healthy_setup(profiles=[profile])
    assert verdicts(told(setup)) == {"D12": "fails"}
    assert told(setup, policy=policy_with(consent_provider_id=UUID(int=7))) == {}


@pytest.mark.parametrize(
    ("definition", "verdict"),
    [
        (flow(value="@if(true, 534120001, 534120002)"), "fails"),
        (flow(value=534120001, operation="CreateRecord"), "fails"),
        (flow(value=534120001, writes="msdynmkt_contactpointconsent3s"), "fails"),
        (flow(value="@variables('consent')"), "warning"),
        (flow(value=534120001, trigger="lead"), None),
        (flow(value=534120001, operation="ListRecords"), None),
        (flow(value=534120001, writes="tasks"), None),
        ("not json", "unknown"),
        (None, "unknown"),
        (json.dumps({"properties": {}}), "unknown"),
    ],
)
def test_a_flow_is_judged_by_what_starts_it_and_what_it_writes(definition: str | None, verdict: str | None) -> None:
    found = told(healthy_setup(flows=[{"workflowid": str(UUID(int=3)), "clientdata": definition}]))
    assert verdicts(found) == ({"D4": verdict} if verdict else {})


def test_the_switch_is_found_by_its_name_or_by_the_unique_name_of_the_policy() -> None:
    off = {"msdynmkt_name": "Other", "msdynmkt_uniquename": "switch-7", "msdynmkt_featurestate": 0}
    assert verdicts(told(healthy_setup(features=[off]))) == {"D1": "unknown"}
    policy = policy_with(contact_consent_switch="switch-7")
    assert verdicts(told(healthy_setup(features=[off]), policy=policy)) == {"D1": "warning"}
    assert told(healthy_setup(features=[{**off, "msdynmkt_featurestate": 1}]), policy=policy) == {}
    assert verdicts(told(healthy_setup(features=[{**off, "msdynmkt_featurestate": None}]), policy=policy)) == {
        "D1": "unknown"
    }


def test_a_flag_that_we_wrote_ourselves_is_nobodys_no() -> None:
    rows = [
        {
            "contactid": str(UUID(int=n)),
            "emailaddress1": "Home@example.org",
            "statecode": 0,
            "donotbulkemail": n == 2,
            "donotemail": False,
        }
        for n in (1, 2)
    ]
    row = {
        "msdynmkt_contactpointvalue": "home@example.org",
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": 534120001,
        "_msdynmkt_purposeid_value": str(POLICY.crm.purposes["marketing"].purpose_id),
    }
    assert verdicts(told(people=People(rows, [row]))) == {"D8": "fails"}
    acknowledged = {str(UUID(int=2)): {"donotbulkemail": True, "emailaddress1": "home@example.org"}}
    assert told(people=People(rows, [row], acknowledged)) == {}


def test_rows_that_agree_are_a_warning_and_rows_that_do_not_a_failure() -> None:
    def row(value: int, topic: str | None = None) -> dict[str, Any]:
        return {
            "msdynmkt_contactpointvalue": "A@example.org",
            "msdynmkt_value": value,
            "_msdynmkt_topicid_value": topic,
        }

    assert told(people=People([], [row(1), row(1, "t")])) == {}
    assert verdicts(told(people=People([], [row(1), row(1)]))) == {"D5": "warning"}
    assert verdicts(told(people=People([], [row(1), row(2), row(1, "t"), row(1, "t")]))) == {"D5": "fails"}


def test_no_evidence_quotes_a_person() -> None:
    address, name = "aino.virtanen@example.org", "Virtanen"
    contact = {
        "contactid": str(UUID(int=1)),
        "emailaddress1": address,
        "lastname": name,
        "statecode": 0,
        "donotbulkemail": False,
        "donotemail": False,
    }
    consents = [{"msdynmkt_contactpointvalue": address, "msdynmkt_value": n, "statecode": 1} for n in (534120001, 2)]
    moved = People([contact], consents, {str(UUID(int=1)): {"emailaddress1": "old@example.org"}})
    found = told(people=moved)
    assert set(found) == {"D5", "D6", "D10"}
    assert not any(word in str(found) for word in (address, name, "old@example.org"))


def test_a_table_that_is_not_there_fails_and_one_that_may_not_be_read_does_not() -> None:
    absent = Gap("Table contact is not there.", is_absent=True)
    assert told(environment=healthy_environment(contact=absent))["tables"].verdict is Verdict.FAILS
    assert told(environment=healthy_environment(contact=DENIED))["tables"].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("name", "there", "said"),
    [
        ("lastname", {"type": "String", "max_length": 49}, "has too short: lastname"),
        ("lastname", {"type": "String", "max_length": 50}, None),
        ("lastname", {"type": "Picklist"}, "has of another type: lastname"),
        ("lastname", None, "has not: lastname"),
        (LINK, None, None),
    ],
)
def test_a_column_must_be_there_of_its_type_and_long_enough(name: str, there: Any, said: str | None) -> None:
    facts = table_facts(CONTACT)
    columns = {n: c for n, c in facts.columns.items() if n != name} | ({name: there} if there else {})
    found = told(environment=healthy_environment(contact=replace(facts, columns=columns)))
    assert verdicts(found) == ({"columns": "fails"} if said else {"D7": "fails"} if name == LINK else {})
    assert said is None or said in found["columns"].evidence


def test_an_option_of_ours_that_the_environment_does_not_know_fails() -> None:
    facts = table_facts(CONSENT)
    columns = {**facts.columns, "msdynmkt_value": {"type": "Picklist", "options": [534120000, 534120001]}}
    found = told(environment=healthy_environment(msdynmkt_contactpointconsent4=replace(facts, columns=columns)))
    assert "has not our options in: msdynmkt_value" in found["columns"].evidence


@pytest.mark.parametrize(
    ("changes", "check_id"),
    [
        ({"is_change_tracked": False}, "change_tracking"),
        ({"has_optimistic_concurrency": False}, "concurrency"),
        ({"messages": frozenset({"CreateMultiple"})}, "bulk"),
    ],
)
def test_a_table_without_what_we_rely_on_is_named(changes: dict[str, Any], check_id: str) -> None:
    found = told(environment=healthy_environment(contact=table_facts(CONTACT, **changes)))
    assert verdicts(found) == {check_id: "fails"}
    assert "contact" in found[check_id].evidence


def test_messages_that_could_not_be_listed_are_unknown() -> None:
    tables = {name: table_facts(table, messages=DENIED) for name, table in TABLES.items()}
    found = told(environment=healthy_environment(**tables))
    assert verdicts(found) == {"bulk": "unknown"}
    assert found["bulk"].evidence == DENIED.reason


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({"prvwritecontact": None}, "fails", "Missing, 1 of 2: prvWriteContact."),
        ({"prvwritecontact": "Local"}, "fails", "a part of the organisation only: prvWriteContact."),
        ({"prvdeleteaccount": "Basic"}, "warning", "1 privileges more than needed: prvdeleteaccount."),
    ],
)
def test_privileges_are_those_of_the_role_and_no_more(changes: dict[str, Any], verdict: str, said: str) -> None:
    healthy = healthy_environment()
    held = {name: depth for name, depth in {**dict(healthy.privileges), **changes}.items() if depth}  # type: ignore[arg-type]
    found = told(environment=replace(healthy, privileges=held))
    assert verdicts(found) == {"privileges": verdict}
    assert said in found["privileges"].evidence


@pytest.mark.parametrize(
    ("code", "expected", "verdict"),
    [(1033, None, None), (1035, 1035, None), (1035, 1033, "warning"), (9999, None, "unknown"), (None, None, "unknown")],
)
def test_the_language_decides_whether_accents_count(code: Any, expected: int | None, verdict: str | None) -> None:
    setup = healthy_setup(organisations=[{"languagecode": code}])
    found = told(setup, policy=policy_with(base_language=expected))
    assert verdicts(found) == ({"language": verdict} if verdict else {})


def test_a_list_of_names_says_how_many_it_leaves_out() -> None:
    assert listed(["b", "a", "a"]) == "a, b"
    assert listed(range(7)) == "0, 1, 2, 3, 4 and 2 more"


def test_the_page_of_the_doctor_tells_of_every_check() -> None:
    page = DOCS.read_text("utf-8")
    assert [check.check_id for check in CHECKS if f"\n### {check.check_id}: " not in page] == []
    assert [check.check_id for check in CHECKS if check.source not in page] == []


def test_a_list_that_is_not_there_or_takes_no_contacts_by_hand_is_named() -> None:
    news = {"listid": str(NEWS), "listname": "News", "createdfromcode": 2, "type": False}
    strange = [[], [news | {"type": True}], [news | {"createdfromcode": 4}]]
    assert "lists" not in told(healthy_setup(lists=[news]), policy=with_list(POLICY))
    for rows in strange:
        found = told(healthy_setup(lists=rows), policy=with_list(POLICY))["lists"]
        assert (found.verdict, found.holds_back) == (Verdict.FAILS, False)
        assert str(NEWS) in found.evidence


def test_a_journey_that_sends_a_mail_without_its_topic_is_named_and_one_that_cannot_be_read_is_a_gap() -> None:
    marketing = POLICY.crm.purposes["marketing"].purpose_id
    bare, topical = str(UUID(int=21)), str(UUID(int=22))
    mails = [
        {"msdynmkt_emailid": bare, "statuscode": 2, "_msdynmkt_purpose_value": str(marketing)},
        {"msdynmkt_emailid": topical, "statuscode": 2, "_msdynmkt_purpose_value": str(marketing),
         "_msdynmkt_topic_value": str(UUID(int=3))},
    ]  # fmt: skip
    journeys = [
        {"msdynmkt_journeyid": "a-wrong", "msdynmkt_journeyjson": journey_definition(topical, bare.upper())},
        {"msdynmkt_journeyid": "b-right", "msdynmkt_journeyjson": journey_definition(topical)},
        {"msdynmkt_journeyid": "c-closed", "msdynmkt_journeyjson": "not JSON"},
    ]
    found = told(healthy_setup(mails=mails, journeys=journeys))["D14"]
    assert {one.evidence: one.holds_back for one in found.findings} == {
        f"Live mails of purpose marketing without a topic, 1 of them: {bare}.": True,
        "Live journeys that send mails without a topic: a-wrong.": True,
        "Journeys whose definition cannot be read: c-closed.": False,
    }
    assert "D14" not in told(healthy_setup(mails=mails[1:], journeys=journeys[1:2]))
