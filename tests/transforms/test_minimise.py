"""Minimisation: the CRM shows exactly what the living purposes allow, column by column and row by row."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.transforms.minimise import (
    AddressView,
    membership_id,
    minimise_address,
    minimise_contact,
    minimise_occasion,
)
from pipelines.transforms.row_ids import row_id
from schemas.tables import (
    CONSENT,
    CONTACT,
    EVENT,
    LIST_MEMBER,
    MARKER,
    NO_REASON,
    REGISTRATION,
    SOURCE_LOADED,
    TABLES,
    ConsentValue,
)
from tests.views import ADDRESS, NOW, PAST, SOON, id_of, make_person, make_policy, make_registration, make_view

POLICY = make_policy()
NAME_AND_EMAIL = {"firstname", "lastname", "emailaddress1"}
FLAGS = {"donotbulkemail", "followemail"}


def rows_of(view: AddressView, *, now: datetime = NOW) -> dict[str, dict[Any, dict[str, Any]]]:
    """The rows by table."""
    tables: dict[str, dict[Any, dict[str, Any]]] = {CONTACT.logical_name: {}, CONSENT.logical_name: {}, "other": {}}
    for (table, key), columns in minimise_address(view, POLICY, now=now).items():
        tables[table if table in tables else "other"][key] = columns
    return tables


def contact_of(view: AddressView) -> dict[str, Any] | None:
    return minimise_contact(view.persons[0], view, POLICY, now=NOW)


def consents_of(view: AddressView) -> dict[tuple[str, bool], set[int]]:
    """Values of the consent rows, by CRM purpose and whether they speak of a topic."""
    names = {f"/msdynmkt_purposes({target.purpose_id})": name for name, target in POLICY.crm.purposes.items()}
    found: dict[tuple[str, bool], set[int]] = {}
    for row in rows_of(view)[CONSENT.logical_name].values():
        key = names[row["msdynmkt_purposeId@odata.bind"]], "msdynmkt_topicId@odata.bind" in row
        found.setdefault(key, set()).add(row["msdynmkt_value"])
    return found


def test_marketing_alone_shows_name_and_address_and_flags_and_nothing_else() -> None:
    assert contact_of(make_view(make_person("marketing"), marketing="granted")) == {
        "firstname": "Aino",
        "lastname": "Esimerkki",
        "emailaddress1": "aino@example.org",
        "donotbulkemail": False,
        "followemail": False,
    }


@pytest.mark.parametrize(
    ("living", "shown"),
    [
        (["course_delivery"], NAME_AND_EMAIL | {"mobilephone"}),
        (["event_delivery"], NAME_AND_EMAIL | {"mobilephone"}),
        (["related_events"], NAME_AND_EMAIL),
        (["enquiry"], NAME_AND_EMAIL),
        (["enquiry", "marketing"], NAME_AND_EMAIL),
        (["marketing", "course_delivery"], NAME_AND_EMAIL | {"mobilephone"}),
    ],
)
def test_columns_are_those_of_the_living_purposes(living: list[str], shown: set[str]) -> None:
    columns = contact_of(make_view(make_person(*living)))
    assert columns is not None
    assert set(columns) == shown | FLAGS


@pytest.mark.parametrize("living", ["course_delivery", "event_delivery", "related_events", "enquiry"])
def test_only_marketing_opens_the_flag(living: str) -> None:
    columns = contact_of(make_view(make_person(living)))
    assert columns is not None
    assert columns["donotbulkemail"] is True


def test_a_purpose_that_has_ended_shows_nothing() -> None:
    columns = contact_of(make_view(make_person("marketing", ends={"course_delivery": PAST})))
    assert columns is not None
    assert "mobilephone" not in columns


def test_a_purpose_ends_at_its_very_instant() -> None:
    assert contact_of(make_view(make_person(ends={"course_delivery": NOW}))) is None


@pytest.mark.parametrize("purposes", [(), ("suppression",), ("tracking",)])
def test_without_a_purpose_that_shows_columns_there_is_no_contact(purposes: tuple[str, ...]) -> None:
    assert rows_of(make_view(make_person(*purposes)))[CONTACT.logical_name] == {}


def test_an_unknown_name_is_not_made_up_from_the_address() -> None:
    columns = contact_of(make_view(make_person("marketing", given_name=None, family_name=None)))
    assert columns is not None
    assert set(columns) == {"emailaddress1"} | FLAGS


def test_a_granted_address_is_opted_in_with_every_topic_explicit() -> None:
    consents = {("marketing", ""): "granted", ("marketing", "rdi"): "granted", ("marketing", "events"): "withdrawn"}
    found = consents_of(make_view(make_person("marketing"), consents=consents))
    assert found["marketing", False] == {ConsentValue.OPTED_IN}
    assert found["marketing", True] == {ConsentValue.OPTED_IN, ConsentValue.OPTED_OUT}
    rows = rows_of(make_view(make_person("marketing"), consents=consents))[CONSENT.logical_name].values()
    on = [row for row in rows if row["msdynmkt_value"] == ConsentValue.OPTED_IN]
    assert len([row for row in rows if "msdynmkt_topicId@odata.bind" in row]) == 4
    assert len(on) == 2


def test_a_row_of_consent_says_whose_for_what_how_and_that_it_is_ours() -> None:
    target = POLICY.crm.purposes["marketing"]
    rows = rows_of(make_view(make_person("marketing"), marketing="granted"))[CONSENT.logical_name]
    whole: dict[str, Any] = {
        "msdynmkt_contactpointvalue": "aino@example.org",
        "msdynmkt_contactpointtype": 534120000,
        "msdynmkt_contactpointconsenttype": 534120000,
        "msdynmkt_value": 534120001,
        "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({target.purpose_id})",
        "msdynmkt_source": SOURCE_LOADED,
        "msdynmkt_logicalreason": NO_REASON,
        "msdynmkt_reason": MARKER,
    }
    assert rows[row_id(ADDRESS, "marketing|")] == whole
    assert rows[row_id(ADDRESS, "marketing|rdi")] == whole | {
        "msdynmkt_contactpointconsenttype": 534120001,
        "msdynmkt_topicId@odata.bind": f"/msdynmkt_topics({target.topics['rdi']})",
    }


def test_an_unknown_address_that_withdrew_has_opted_out_rows_and_no_contact() -> None:
    view = make_view(marketing="withdrawn")
    assert rows_of(view)[CONTACT.logical_name] == {}
    assert consents_of(view) == {
        ("marketing", False): {ConsentValue.OPTED_OUT},
        ("marketing", True): {ConsentValue.OPTED_OUT},
    }


def test_a_withdrawn_address_keeps_its_course_contact_shut() -> None:
    view = make_view(make_person("course_delivery"), marketing="withdrawn")
    columns = contact_of(view)
    assert columns is not None
    assert columns["donotbulkemail"] is True
    assert consents_of(view)["marketing", False] == {ConsentValue.OPTED_OUT}


def test_no_topic_is_opted_in_where_its_purpose_is_out() -> None:
    consents = {("marketing", ""): "withdrawn", ("marketing", "rdi"): "granted"}
    assert consents_of(make_view(consents=consents))["marketing", True] == {ConsentValue.OPTED_OUT}


def test_tracking_is_opted_out_beside_every_contact() -> None:
    assert consents_of(make_view(make_person("enquiry"))) == {("tracking", False): {ConsentValue.OPTED_OUT}}


def test_related_events_are_opted_in_while_alive_and_out_after_an_objection() -> None:
    alive = consents_of(make_view(make_person("related_events")))
    assert alive["related_events", False] == {ConsentValue.OPTED_IN}
    objected = consents_of(make_view(make_person("enquiry"), consents={("related_events", ""): "withdrawn"}))
    assert objected["related_events", False] == {ConsentValue.OPTED_OUT}


def test_no_consent_row_speaks_of_a_purpose_that_needs_none() -> None:
    found = consents_of(make_view(make_person("course_delivery", "event_delivery", "enquiry")))
    assert {purpose for purpose, _ in found} == {"tracking"}


def test_a_registration_shows_whose_what_and_its_state_and_no_answers() -> None:
    view = make_view(make_person("event_delivery"), registrations=(make_registration(status="cancelled"),))
    assert rows_of(view)["other"] == {
        id_of("registration"): {
            "msevtmgt_ContactId@odata.bind": f"/contacts({id_of('aino')})",
            "msevtmgt_EventId@odata.bind": f"/msevtmgt_events({id_of('occasion')})",
            "msevtmgt_iscanceled": True,
            "msevtmgt_registrationstatus": "cancelled",
            "msevtmgt_originaltimestamp": "2026-05-23T09:00:00Z",
        }
    }


def test_what_somebody_set_right_of_a_registration_in_the_crm_is_shown_so() -> None:
    held = make_registration(held={"msevtmgt_iscanceled": True})
    (row,) = rows_of(make_view(make_person("event_delivery"), registrations=(held,)))["other"].values()
    assert (row["msevtmgt_iscanceled"], row["msevtmgt_registrationstatus"]) == (True, "active")


@pytest.mark.parametrize("changes", [{"status": "deleted"}, {"ends_at": NOW}, {"contact_id": id_of("nobody")}])
def test_a_registration_that_ended_or_is_nobodys_is_not_shown(changes: dict[str, Any]) -> None:
    view = make_view(make_person("event_delivery"), registrations=(make_registration(**changes),))
    assert rows_of(view)["other"] == {}


def test_an_occasions_name_is_cut_to_what_the_crm_holds_and_unknown_dates_are_left_out() -> None:
    columns = minimise_occasion("n" * 150, "course_registration", SOON, None)
    assert columns == {
        "msevtmgt_name": "n" * 100,
        "msevtmgt_eventstartdate": "2026-06-21T09:00:00Z",
        "msevtmgt_eventtype": 100000004,
    }


@pytest.mark.parametrize(("kind", "type_"), [("course_registration", 100000004), ("event_registration", 100000002)])
def test_a_course_is_a_training_and_an_event_a_conference(kind: str, type_: int) -> None:
    assert minimise_occasion("Day", kind, None, SOON) == {
        "msevtmgt_name": "Day",
        "msevtmgt_eventenddate": "2026-06-21T09:00:00Z",
        "msevtmgt_eventtype": type_,
    }


def test_what_somebody_set_right_in_the_crm_is_shown_as_they_set_it() -> None:
    columns = contact_of(make_view(make_person("marketing", held={"lastname": "Mainio"})))
    assert columns is not None
    assert (columns["firstname"], columns["lastname"]) == ("Aino", "Mainio")


@pytest.mark.parametrize(
    ("held", "is_shut"),
    [
        ({}, False),
        ({"emailaddress1": "AINO@Example.org"}, False),
        ({"emailaddress1": "aino@example.com"}, True),
        ({"emailaddress1": None}, True),
    ],
)
def test_what_was_granted_here_was_not_granted_at_the_address_that_the_contact_has_now(
    held: dict[str, Any], is_shut: bool
) -> None:
    columns = contact_of(make_view(make_person("marketing", held=held)))
    assert columns is not None
    assert columns["donotbulkemail"] is is_shut


def test_restriction_shuts_the_flag_that_a_grant_opened() -> None:
    columns = contact_of(make_view(make_person("marketing"), marketing="granted", is_restricted=True))
    assert columns is not None
    assert columns["donotbulkemail"] is True


@pytest.mark.parametrize(
    ("living", "link", "column", "is_shown"),
    [
        ("marketing", "https://p.example.org/p/t", "crmi_preferencelink", True),
        ("related_events", "https://p.example.org/p/t", "crmi_preferencelink", True),
        ("course_delivery", "https://p.example.org/p/t", "crmi_preferencelink", False),
        ("course_delivery tracking", "https://p.example.org/p/t", "crmi_preferencelink", False),
        ("marketing", None, "crmi_preferencelink", False),
        ("marketing", "https://p.example.org/p/t", None, False),
    ],
)
def test_the_link_is_shown_where_a_purpose_of_newsletters_lives(
    living: str, link: str | None, column: str | None, is_shown: bool
) -> None:
    policy = POLICY.model_copy(update={"crm": POLICY.crm.model_copy(update={"preference_link_column": column})})
    view = make_view(make_person(*living.split(), preference_link=link))
    columns = minimise_contact(view.persons[0], view, policy, now=NOW)
    assert columns is not None
    assert {name: value for name, value in columns.items() if name not in NAME_AND_EMAIL | FLAGS | {"mobilephone"}} == (
        {column: link} if is_shown else {}
    )


@pytest.mark.parametrize(
    ("living", "rdi", "changes", "is_member"),
    [
        ("marketing", "granted", {}, True),
        ("marketing", "withdrawn", {}, False),
        ("marketing", "granted", {"is_restricted": True}, False),
        ("course_delivery", "granted", {}, False),
    ],
)
def test_a_contact_is_on_the_list_of_a_topic_that_is_on_while_it_may_be_mailed(
    living: str, rdi: str, changes: dict[str, Any], is_member: bool
) -> None:
    target = POLICY.crm.purposes["marketing"].model_copy(update={"lists": {"rdi": id_of("list")}})
    crm = POLICY.crm.model_copy(update={"purposes": {**POLICY.crm.purposes, "marketing": target}})
    consents = {("marketing", ""): "granted", ("marketing", "rdi"): rdi}
    view = make_view(make_person(living), consents=consents, **changes)
    rows = minimise_address(view, POLICY.model_copy(update={"crm": crm}), now=NOW)
    member = {
        "listid@odata.bind": f"/lists({id_of('list')})",
        "entityid_contact@odata.bind": f"/contacts({id_of('aino')})",
    }
    found = {key: columns for key, columns in rows.items() if key[0] == LIST_MEMBER.logical_name}
    wanted = {(LIST_MEMBER.logical_name, membership_id(id_of("list"), id_of("aino"))): member}
    assert found == (wanted if is_member else {})


def test_only_whoever_the_lists_purpose_lives_for_is_put_on_it() -> None:
    related = POLICY.crm.purposes["related_events"]
    related = related.model_copy(update={"topics": {"fairs": id_of("topic")}, "lists": {"fairs": id_of("list")}})
    crm = POLICY.crm.model_copy(update={"purposes": {**POLICY.crm.purposes, "related_events": related}})
    both = make_person("marketing"), make_person("marketing", "related_events", contact_id=id_of("bo"))
    consents = {("marketing", ""): "granted", ("related_events", "fairs"): "granted"}
    rows = minimise_address(make_view(*both, consents=consents), POLICY.model_copy(update={"crm": crm}), now=NOW)
    members = [key for key in rows if key[0] == LIST_MEMBER.logical_name]
    assert members == [(LIST_MEMBER.logical_name, membership_id(id_of("list"), id_of("bo")))]


def test_a_contact_that_anothers_address_shows_is_left_to_it_with_its_lists_and_all_else_is_shown_here() -> None:
    target = POLICY.crm.purposes["marketing"].model_copy(update={"lists": {"rdi": id_of("list")}})
    crm = POLICY.crm.model_copy(update={"purposes": {**POLICY.crm.purposes, "marketing": target}})
    policy = POLICY.model_copy(update={"crm": crm})
    views = [
        make_view(
            make_person("marketing", "event_delivery", is_elsewhere=is_elsewhere),
            marketing="granted",
            registrations=(make_registration(),),
        )
        for is_elsewhere in (False, True)
    ]
    here, elsewhere = (minimise_address(view, policy, now=NOW) for view in views)
    assert {table for table, _ in here} == {*TABLES, LIST_MEMBER.logical_name} - {EVENT.logical_name}
    left = {CONTACT.logical_name, LIST_MEMBER.logical_name}
    assert elsewhere == {key: columns for key, columns in here.items() if key[0] not in left}


def test_a_membership_is_one_of_its_own_for_each_list_and_contact_and_the_same_every_time() -> None:
    made = [[membership_id(id_of(a), id_of(b)) for a in ("list", "other") for b in ("aino", "bo")] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) == 4


LIVING = st.sets(st.sampled_from(list(POLICY.purposes)))


@given(LIVING, st.sampled_from(["", "granted", "withdrawn"]), st.booleans())
def test_nothing_is_shown_that_no_living_purpose_lists(living: set[str], marketing: str, has_phone: bool) -> None:
    person = make_person(*living, phone="+447700900123" if has_phone else None)
    view = make_view(person, marketing=marketing, registrations=(make_registration(),))
    allowed = {column for name in living for column in POLICY.purposes[name].contact_columns} | FLAGS
    for (table, _), columns in minimise_address(view, POLICY, now=NOW).items():
        assert set(columns) <= set(TABLES[table].columns)
        if table == CONTACT.logical_name:
            assert set(columns) <= allowed
            assert columns["followemail"] is False
        if table == REGISTRATION.logical_name:
            assert allowed > FLAGS


def test_row_ids_of_consents_are_the_same_every_time_and_made_of_no_address() -> None:
    one = minimise_address(make_view(marketing="withdrawn"), POLICY, now=NOW)
    other = minimise_address(make_view(marketing="withdrawn", address="renamed@example.org"), POLICY, now=NOW)
    assert set(one) == set(other)
    assert all(key != ADDRESS for _, key in one)
