"""Only what is needed: the purposes that each question serves, and the questions that serve none."""

from connectors.mappings import load_mappings
from pipelines.transforms.needs import purposes_by_column, without_purpose
from tests.feeds import CONFIG, make_consent, make_mapping, make_policy

POLICY = make_policy()
EMAIL = {"email": {"column": "Email"}}


def test_a_phone_asked_for_marketing_serves_no_purpose() -> None:
    mapping = make_mapping(fields={**EMAIL, "phone": {"column": "Phone"}})
    assert purposes_by_column(mapping, POLICY) == {"Email": ("marketing",), "Newsletter": ("marketing",), "Phone": ()}
    assert without_purpose(mapping, POLICY) == ["Phone"]


def test_the_same_phone_serves_the_course_that_one_registers_for() -> None:
    at = {"constant": "2026-12-01"}
    course = {"id": {"column": "Course"}, "name": {"column": "Name"}, "starts_at": at, "ends_at": at}
    mapping = make_mapping(
        kind="course_registration", fields={**EMAIL, "phone": {"column": "Phone"}}, consents=None, occasion=course
    )
    assert purposes_by_column(mapping, POLICY)["Phone"] == ("course_delivery",)
    assert without_purpose(mapping, POLICY) == []


def test_an_answer_of_a_survey_that_begins_nothing_serves_none() -> None:
    mapping = make_mapping(kind="survey", fields=EMAIL, consents=None, answers={"Shoe size": "shoe size"})
    assert without_purpose(mapping, POLICY) == ["Email", "Shoe size"]


def test_a_list_of_options_serves_what_its_options_ask() -> None:
    options = {"options": [{"column": "Topics", "options": ["Events", "Cakes"]}]}
    asked = make_consent(column="Topics:Events", grants=["Events"], topic="events")
    mapping = make_mapping(arrangement=options, consents=[asked])
    assert purposes_by_column(mapping, POLICY) == {"Email": ("marketing",), "Topics": ("marketing",)}


def test_what_tells_submissions_apart_or_dates_them_is_no_question() -> None:
    assert not {"Id", "Time"} & set(purposes_by_column(make_mapping(), POLICY))


def test_of_the_shipped_feeds_only_the_call_back_details_of_an_enquiry_serve_none() -> None:
    found = {feed: without_purpose(mapping, POLICY) for feed, mapping in load_mappings(CONFIG).items()}
    assert {feed: columns for feed, columns in found.items() if columns} == {
        "web_forms_contact": ["data.organisaatio", "data.puhelinnumero"],
    }
