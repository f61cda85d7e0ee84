"""What a change read in the CRM means: our own value is no event, staff only restrict, an old value is never dated anew."""

from typing import Any
from uuid import UUID

import pytest

from pipelines.transforms.adoption import canonical_keys
from pipelines.transforms.crm_changes import GONE, KnownRow, Noted, Told, each_once, instant, selected_columns
from pipelines.transforms.crm_consents import (
    PURPOSE,
    Raised,
    decide_raised,
    purposes_of,
    read_consent,
    read_deleted_consent,
)
from pipelines.transforms.crm_contacts import Addresses, read_contact
from pipelines.transforms.crm_registrations import read_registration
from pipelines.transforms.ownership import held_columns, held_registration, is_gone
from schemas.consent import Actor, Value
from schemas.policy import Owner, Policy, RegisteredProfile
from schemas.tables import CONSENT, CONTACT, REGISTRATION
from tests.views import ADDRESS, NOW, PAST, SOON, id_of, make_policy

AT = "2026-05-01T10:00:00Z"
BEFORE = instant("2026-04-01T10:00:00Z")
IN, OUT, NOT_SET = 534120001, 534120002, 534120000
PAGE, INTERNAL, TEXT_MESSAGE, LIST_UNSUBSCRIBE = 534120001, 534120000, 534120002, 534120007
MARKETING = make_policy().crm.purposes["marketing"]


def contact(**changes: Any) -> dict[str, Any]:
    plain = {
        "contactid": str(id_of("aino")),
        "firstname": "Aino",
        "lastname": "Esimerkki",
        "emailaddress1": "aino@example.org",
        "donotbulkemail": False,
        "followemail": False,
        "donotemail": False,
        "statecode": 0,
        "modifiedon": AT,
    }
    return {**plain, **changes}


def known(row: dict[str, Any], *, edits: dict[str, str] | None = None, is_managed: bool = True) -> KnownRow:
    columns = {n: v for n, v in row.items() if n in CONTACT.columns and v is not None}
    return KnownRow(columns, edits or {}, is_managed, ADDRESS)


def read_contacts(row: dict[str, Any], before: KnownRow | None, *suppressed: str) -> Told:
    told = Told()
    read_contact(row, before, told, Addresses(canonical_keys([row]), frozenset(suppressed)))
    return told


def consent(**changes: Any) -> dict[str, Any]:
    plain = {
        "msdynmkt_contactpointconsent4id": str(id_of("consent")),
        "msdynmkt_contactpointvalue": "aino@example.org",
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": IN,
        "msdynmkt_source": PAGE,
        "msdynmkt_logicalreason": 534119999,
        "msdynmkt_reason": "crm-intake",
        "_msdynmkt_purposeid_value": str(MARKETING.purpose_id),
        "statecode": 0,
        "createdon": AT,
        "modifiedon": AT,
    }
    return {**plain, **changes}


def known_consent(value: int = IN, **changes: Any) -> KnownRow:
    row = consent(msdynmkt_value=value, msdynmkt_source=534120003)
    columns = {n: v for n, v in row.items() if n in CONSENT.columns}
    columns[PURPOSE] = f"/msdynmkt_purposes({MARKETING.purpose_id})"
    return KnownRow(columns, changes.pop("edits", {}), changes.pop("is_managed", True), ADDRESS)


def read_consents(row: dict[str, Any], before: KnownRow | None, **when: Any) -> tuple[Told, Raised | None]:
    told = Told()
    return told, read_consent(row, before, told, purposes_of(make_policy()), since=when.get("since", BEFORE))


def decided(told: Told) -> list[tuple[str, str | None, Value, Actor]]:
    return [(d.purpose, d.topic, d.value, d.actor) for d in told.decisions]


def test_our_own_value_coming_back_is_nothing_at_all() -> None:
    assert read_contacts(contact(), known(contact())) == Told()
    row = consent(msdynmkt_source=534120003)
    assert read_consents(row, known_consent()) == (Told(), None)


def test_an_edit_of_a_column_that_is_not_ours_is_nothing_at_all() -> None:
    assert read_contacts(contact(jobtitle="Planner"), known(contact())) == Told()


def test_a_name_set_right_is_noted_with_its_date_and_makes_no_event() -> None:
    told = read_contacts(contact(lastname="Oikea", mobilephone="+4411"), known(contact()))
    (noted,) = told.noted
    assert noted.columns == {"lastname": "Oikea", "mobilephone": "+4411"}
    assert noted.edits == {"lastname": AT, "mobilephone": AT}
    assert told.decisions == []


def test_a_flag_that_comes_to_forbid_withdraws_as_of_then_and_one_that_allows_is_only_noted() -> None:
    told = read_contacts(contact(donotbulkemail=True), known(contact()))
    assert decided(told) == [("marketing", None, Value.WITHDRAW, Actor.STAFF)]
    assert told.decisions[0].at == instant(AT)
    lifted = read_contacts(contact(), known(contact(donotbulkemail=True)))
    assert lifted.decisions == []
    assert lifted.noted[0].columns == {"donotbulkemail": False}


def test_forbidding_all_mail_withdraws_news_of_similar_events_too_and_only_once() -> None:
    told = read_contacts(contact(donotemail=True), known(contact()))
    assert [d.purpose for d in told.decisions] == ["marketing", "related_events"]
    assert [f.kind for f in told.findings] == ["do_not_email"]
    again = known(contact(), edits={"donotemail": AT})
    assert read_contacts(contact(donotemail=True, modifiedon="2026-05-09T10:00:00Z"), again) == Told()
    assert read_contacts(contact(), again).noted[0].edits == {"donotemail": None}


def test_a_contact_that_is_not_ours_withdraws_once_and_an_unrelated_edit_does_not_date_it_anew() -> None:
    row = contact(donotbulkemail=True, lastname="Other")
    told = read_contacts(row, None)
    assert decided(told) == [("marketing", None, Value.WITHDRAW, Actor.STAFF)]
    assert (told.noted[0].columns, told.noted[0].keys) == ({"donotbulkemail": True}, ["aino@example.org"])
    seen = KnownRow({"donotbulkemail": True}, {}, False)
    assert read_contacts({**row, "lastname": "Another", "modifiedon": "2026-05-09T10:00:00Z"}, seen) == Told()


@pytest.mark.parametrize("ours", [True, False])
def test_what_forbids_mail_to_a_contact_forbids_it_to_each_of_its_addresses(ours: bool) -> None:
    row = contact(donotemail=True, emailaddress2="Second@example.org", emailaddress3="AINO@example.org")
    told = read_contacts(row, known(contact()) if ours else None)
    withdrawn = {(d.address, d.purpose) for d in told.decisions}
    borne = ("aino@example.org", "Second@example.org", "AINO@example.org")
    assert withdrawn == {(address, purpose) for address in borne for purpose in ("marketing", "related_events")}


@pytest.mark.parametrize("column", ["emailaddress1", "emailaddress2", "emailaddress3"])
def test_a_contact_that_is_not_ours_is_known_where_it_bears_a_suppressed_address(column: str) -> None:
    row = contact(emailaddress1="other@example.org") | {column: "AINO@Example.org"}
    assert read_contacts(row, None) == Told()
    (noted,) = read_contacts(row, None, "aino@example.org").noted
    assert noted.columns == {"donotbulkemail": False}
    assert "aino@example.org" in noted.keys


def test_a_merge_is_only_a_merge_and_the_loser_says_nothing_afterwards() -> None:
    row = contact(merged=True, _masterid_value=str(id_of("master")), statecode=1, donotbulkemail=True)
    told = read_contacts(row, known(contact()))
    assert [(m.loser_id, m.master_id) for m in told.merges] == [(id_of("aino"), id_of("master"))]
    assert (told.decisions, told.noted) == ([], [])
    assert read_contacts(row, KnownRow({}, {"merged": AT}, False)) == Told()


def test_a_person_who_leaves_by_a_page_objects_too_and_staff_who_lower_do_not() -> None:
    told, _ = read_consents(consent(msdynmkt_value=OUT), known_consent())
    withdrawn = [(p, None, Value.WITHDRAW, Actor.SUBJECT) for p in ("marketing", "related_events")]
    assert decided(told) == withdrawn
    told, _ = read_consents(consent(msdynmkt_value=OUT, msdynmkt_source=INTERNAL), known_consent())
    assert decided(told) == [("marketing", None, Value.WITHDRAW, Actor.STAFF)]


@pytest.mark.parametrize("change", [{"msdynmkt_value": NOT_SET}, {"statecode": 1}])
def test_unsetting_or_putting_away_an_opted_in_row_withdraws(change: dict[str, int]) -> None:
    told, _ = read_consents(consent(msdynmkt_source=INTERNAL, **change), known_consent())
    assert decided(told) == [("marketing", None, Value.WITHDRAW, Actor.STAFF)]


def test_a_row_put_away_withdraws_once_and_one_that_opted_out_never() -> None:
    known_away = known_consent(edits={"statecode": AT})
    assert read_consents(consent(msdynmkt_source=534120003, statecode=1), known_away)[0] == Told()
    told, _ = read_consents(consent(msdynmkt_value=OUT, msdynmkt_source=534120003, statecode=1), known_consent(OUT))
    assert told.decisions == []


def test_a_topic_is_withdrawn_for_itself_and_an_unknown_purpose_says_nothing() -> None:
    topic = {"_msdynmkt_topicid_value": str(MARKETING.topics["rdi"])}
    told, _ = read_consents(consent(msdynmkt_value=OUT, **topic), None)
    assert decided(told) == [("marketing", "rdi", Value.WITHDRAW, Actor.SUBJECT)]
    assert read_consents(consent(_msdynmkt_purposeid_value=str(id_of("x"))), None) == (Told(), None)


def test_an_opt_in_never_seen_counts_only_on_a_row_made_since_the_last_reading() -> None:
    assert read_consents(consent(), None)[1] is not None
    assert read_consents(consent(), None, since=None)[1] is None
    assert read_consents(consent(), None, since=SOON)[1] is None
    assert read_consents(consent(), known_consent(OUT), since=SOON)[1] is not None


@pytest.mark.parametrize("source", [PAGE, INTERNAL])
def test_what_becomes_of_a_row_that_is_not_ours_is_noted_whoever_did_it(source: int) -> None:
    adopted, row = known_consent(OUT, is_managed=False), consent(msdynmkt_source=source)
    for before, since in ((None, BEFORE), (adopted, SOON)):
        (noted,) = read_consents(row, before, since=since)[0].noted
        assert noted.columns["msdynmkt_value"] == IN
        assert (noted.edits, noted.keys) == ({}, ["aino@example.org"])
    (unset,) = read_consents(consent(msdynmkt_value=NOT_SET), adopted)[0].noted
    assert unset.columns["msdynmkt_value"] == NOT_SET
    assert read_consents(row, known_consent(IN, is_managed=False))[0].noted == []


def test_an_old_row_that_only_opts_in_is_not_remembered() -> None:
    assert read_consents(consent(), None, since=SOON)[0] == read_consents(consent(), None, since=None)[0] == Told()


def raised(topic: str | None = None, source: int = PAGE) -> Raised:
    given = {"_msdynmkt_topicid_value": str(MARKETING.topics[topic])} if topic else {}
    row_id = str(id_of(topic or "whole"))
    row = consent(msdynmkt_source=source, msdynmkt_contactpointconsent4id=row_id, **given)
    _, found = read_consents(row, None)
    assert found is not None
    return found


def decide(*found: Raised, is_registered: bool = True) -> Told:
    told, profile_id = Told(), id_of("profile")
    profile = RegisteredProfile(wording="Yes.", language="en", version="1", notice_version="2026")
    registered: dict[UUID, RegisteredProfile] = {profile_id: profile} if is_registered else {}
    decide_raised(found, {MARKETING.purpose_id: profile_id}, registered, told)
    return told


def test_the_subject_grants_under_a_registered_wording_and_a_topic_grants_no_other() -> None:
    assert [(d.topic, d.value, d.profile is not None) for d in decide(raised()).decisions] == [
        (None, Value.GRANT, True)
    ]
    assert [d.topic for d in decide(raised(), raised("rdi")).decisions] == ["rdi"]


def test_what_is_not_registered_or_not_the_subjects_grants_nothing_and_is_reported() -> None:
    told = decide(raised(), is_registered=False)
    assert (told.decisions, [f.kind for f in told.findings]) == ([], ["unregistered_opt_in"])
    assert list(told.noted[0].edits) == ["unregistered"]
    staff = decide(raised(source=INTERNAL))
    assert (staff.decisions, [f.kind for f in staff.findings]) == ([], ["staff_opt_in"])
    assert staff.noted == [], "the row stands as noted when it was read, and is lowered where somebody withdrew"


@pytest.mark.parametrize("source", [TEXT_MESSAGE, LIST_UNSUBSCRIBE])
def test_nobody_opts_in_by_a_text_message_or_by_unsubscribing(source: int) -> None:
    told = decide(raised(source=source))
    assert (told.decisions, [f.kind for f in told.findings]) == ([], ["staff_opt_in"])
    out, _ = read_consents(consent(msdynmkt_value=OUT, msdynmkt_source=source), known_consent())
    assert {d.actor for d in out.decisions} == {Actor.SUBJECT}


@pytest.mark.parametrize(("value", "withdraws"), [(IN, True), (OUT, False)])
def test_a_deleted_row_is_not_known_any_more_and_withdraws_what_it_opted_in(value: int, withdraws: bool) -> None:
    told = Told()
    read_deleted_consent(id_of("consent"), known_consent(value), told, purposes_of(make_policy()), now=NOW)
    assert told.forgotten == [(CONSENT.logical_name, id_of("consent"))]
    assert [(d.purpose, d.at) for d in told.decisions] == ([("marketing", NOW)] if withdraws else [])


def with_owner(owner: Owner) -> Policy:
    policy = make_policy()
    crm = policy.crm.model_copy(update={"ownership": {"lastname": owner}})
    return policy.model_copy(update={"crm": crm})


@pytest.mark.parametrize(
    ("owner", "told_at", "stands"),
    [
        (Owner.NEWEST, PAST, False),
        (Owner.NEWEST, instant(AT), True),
        (Owner.NEWEST, BEFORE, True),
        (Owner.NEWEST, None, True),
        (Owner.CRM, PAST, True),
        (Owner.INTAKE, BEFORE, False),
    ],
)
def test_whose_name_stands_is_configured_and_by_default_the_newest_human_act_wins(
    owner: Owner, told_at: Any, stands: bool
) -> None:
    held = held_columns({"lastname": "Oikea"}, {"lastname": AT}, {"lastname": told_at}, with_owner(owner))
    assert held == ({"lastname": "Oikea"} if stands else {})


def test_a_column_emptied_in_the_crm_is_held_empty() -> None:
    assert held_columns({}, {"mobilephone": AT, "donotemail": AT}, {}, make_policy()) == {"mobilephone": None}


def test_a_cancellation_in_the_crm_stands_and_taking_one_back_there_does_not() -> None:
    edits = {"msevtmgt_iscanceled": AT, "msevtmgt_registrationstatus": AT}
    cancelled = {"msevtmgt_iscanceled": True, "msevtmgt_registrationstatus": "no show"}
    assert held_registration(cancelled, edits, BEFORE, make_policy()) == cancelled
    assert held_registration(cancelled, edits, NOW, make_policy()) == {}
    assert held_registration({**cancelled, "msevtmgt_iscanceled": False}, edits, BEFORE, make_policy()) == {}


def test_a_row_deleted_in_the_crm_is_gone_until_something_newer_is_said_of_it() -> None:
    assert is_gone({GONE: AT}, BEFORE)
    assert not is_gone({GONE: AT}, NOW)
    assert not is_gone({}, BEFORE)


def test_only_registrations_of_ours_are_looked_at() -> None:
    told, row = Told(), {"msevtmgt_eventregistrationid": str(id_of("r")), "msevtmgt_iscanceled": True, "modifiedon": AT}
    read_registration(row, None, told)
    assert told == Told()
    read_registration(row, KnownRow({"msevtmgt_iscanceled": False}, {}, True), told)
    assert told.noted[0].edits == {"msevtmgt_iscanceled": AT}


def test_what_is_noted_twice_of_a_row_is_noted_once() -> None:
    first = Noted(CONTACT.logical_name, id_of("aino"), {"lastname": "A", "firstname": "B"}, {}, ["x@example.org"])
    second = Noted(CONTACT.logical_name, id_of("aino"), {"lastname": "C"}, {"lastname": AT})
    (one,) = each_once([first, second])
    assert (one.columns, one.edits) == ({"lastname": "C", "firstname": "B"}, {"lastname": AT})


def test_a_delta_link_is_asked_for_with_everything_that_is_compared() -> None:
    for table in (CONTACT, CONSENT, REGISTRATION):
        assert {"statecode", "modifiedon"} <= set(selected_columns(table.logical_name, make_policy()))
    assert {"merged", "_masterid_value", "donotemail"} <= set(selected_columns(CONTACT.logical_name, make_policy()))
