"""Short-course and registration systems (facts C1, C2, 0.7 to 0.9): who is whom, what is no consent, what is erased."""

import json
from typing import Any

from tests.corpus.cases import EVENT, Case, book, consent, document, feed, prohibition, text
from tests.feeds import SAMPLES

STATUS = {
    "column": "attendee_status",
    "values": {"attending": "active", "waitlisted": "waitlisted", "awaiting_payment": "active"},
}
CONTACT = {
    "email": "contact_person.email",
    "given_name": "contact_person.first_name",
    "family_name": "contact_person.last_name",
    "phone": "contact_person.phone_number",
}
DROPPED = [
    "registration",
    "first_name",
    "last_name",
    "date_of_birth",
    "phone_number",
    "city",
    "street_address",
    "zipcode",
    "user_consent",
    "extra_info",
    "presence_status",
    "contact_person.native_language",
    "contact_person.service_language",
    "contact_person.notifications",
    "contact_person.membership_number",
]


def signup(number: int, **changes: Any) -> dict[str, Any]:
    person = {
        "first_name": "Kaisa",
        "last_name": "Kontakti",
        "email": "kaisa@example.org",
        "phone_number": "0449551234",
        "notifications": "sms",
        "native_language": "fi",
        "service_language": "fi",
        "membership_number": "",
    }
    return {
        "id": number,
        "registration": 5,
        "first_name": "Lauri",
        "last_name": "Lapsi",
        "date_of_birth": "2017-01-01",
        "phone_number": "",
        "city": "Pori",
        "street_address": "",
        "zipcode": "28100",
        "user_consent": True,
        "extra_info": "",
        "attendee_status": "attending",
        "presence_status": "not_present",
        "created_time": "2026-03-01T10:00:00+02:00",
        "last_modified_time": "2026-03-02T10:00:00+02:00",
        "anonymization_time": None,
        "contact_person": person,
        **changes,
    }


def linked(fields: dict[str, Any] = CONTACT, **changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "file": {"type": "json", "pattern": "*.json"},
        "key": ["id"],
        "submitted_at": {"column": "created_time"},
        "changed_at": {"column": "last_modified_time"},
        "occasion": EVENT,
        "registration": {"status": STATUS},
        "ignored": DROPPED,
        "erased": {"column": "anonymization_time"},
    }
    return feed("short_courses", "event_registration", fields, **{**plain, **changes})


GONE = {
    "first_name": "<DELETED>",
    "last_name": "<DELETED>",
    "contact_person": {
        "first_name": "<DELETED>",
        "last_name": "<DELETED>",
        "email": "<DELETED>",
        "phone_number": "<DELETED>",
        "notifications": "none",
        "native_language": "",
        "service_language": "",
        "membership_number": "",
    },
}
XLSX = feed(
    "short_courses",
    "event_registration",
    {"email": "Yhteyshenkilön sähköposti", "phone": "Yhteyshenkilön puhelinnumero"},
    file={"type": "xlsx", "pattern": "*.xlsx", "header_row": 7},
    submitted_at={"constant": "2026-11-01"},
    occasion=EVENT,
    registration={"status": {"column": "Status", "values": {"Osallistuu": "active", "Jonossa": "waitlisted"}}},
    ignored=["Nimi", "Syntymäaika", "Puhelinnumero"],
)
TITLES = ["Nimi", "Syntymäaika", "Puhelinnumero", "Yhteyshenkilön sähköposti", "Yhteyshenkilön puhelinnumero", "Status"]
ABOVE: list[list[Any]] = [
    ["Päivä 2026 - Ilmoittautuneet"],
    [],
    ["Tiedot ovat luottamuksellisia."],
    ["Poista tiedosto käytön jälkeen."],
    [],
    [],
]

COURSE = {"id": "course", "name": "course_name", "starts_at": "starts", "ends_at": "ends"}
WORDS = {"ilmoittautunut": "active", "jonossa": "waitlisted", "peruttu": "cancelled", "poistettu": "deleted"}


def course(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "file": {"type": "csv", "pattern": "*.csv"},
        "key": ["id"],
        "submitted_at": {"column": "registered"},
        "changed_at": {"column": "changed"},
        "occasion": {
            **{name: {"column": column} for name, column in COURSE.items()},
            "is_sale": {"column": "charge", "values": {"maksullinen": "yes", "maksuton": "no"}},
        },
        "registration": {
            "status": {"column": "status", "values": WORDS},
            "is_payer": {"column": "payer", "values": {"osallistuja": "yes", "työnantaja": "no"}},
        },
    }
    return feed(
        "short_courses",
        "course_registration",
        {"email": "email", "given_name": "given", "family_name": "family"},
        **{**plain, **changes},
    )


HEAD = "id;registered;changed;email;given;family;course;course_name;starts;ends;charge;status;payer"


def row(
    number: int,
    status: str = "ilmoittautunut",
    *,
    payer: str = "osallistuja",
    ends: str = "2026-12-01",
    changed: str = "2026-03-01 10:00:00",
    email: str = "aino@example.org",
) -> str:
    return f"{number};2026-03-01 10:00:00;{changed};{email};Aino;Virtanen;k1;Kurssi;2026-11-01;{ends};maksullinen;{status};{payer}"


NATIONAL = feed(
    "short_courses",
    "survey",
    {"email": "email"},
    file={"type": "json", "pattern": "*.json"},
    key=["oid"],
    submitted_at={"column": "hakemusFirstSubmittedTime"},
    changed_at={"column": "createdTime"},
    consents=[consent("koulutusmarkkinointilupa", "true", "Kyllä", refuses=["false", "Ei"], states_current_value=True)],
    ignored=["valintatuloksenJulkaisulupa", "sahkoisenAsioinninLupa", "asiointikieli", "turvakielto", "personOid"],
    optional=["koulutusmarkkinointilupa"],
)


def application(**changes: Any) -> dict[str, Any]:
    return {
        "oid": "1.2.246.1",
        "personOid": "1.2.246.2",
        "createdTime": "2026-03-02T10:00:00Z",
        "hakemusFirstSubmittedTime": "2026-03-01T10:00:00Z",
        "email": "aino@example.org",
        "asiointikieli": "1",
        "sahkoisenAsioinninLupa": True,
        "valintatuloksenJulkaisulupa": True,
        **changes,
    }


SIGNUP_POST = json.loads((SAMPLES / "linked_registrations" / "signup_post_payload.json").read_text("utf-8"))

CASES: list[Case] = [
    document(
        "linked_signup",
        "C1 the e-mail is the contact person's, and so is the name beside it; the attendee may be a child",
        linked(),
        [signup(1)],
    ),
    document(
        "linked_user_consent",
        "C1 user_consent is consent to processing, not to marketing",
        linked(),
        [signup(1, user_consent=True)],
    ),
    document("linked_waitlisted", "C1 waitlisted", linked(), [signup(1, attendee_status="waitlisted")]),
    document(
        "linked_unknown_status", "C1 a status that nobody mapped", linked(), [signup(1, attendee_status="reserved")]
    ),
    document(
        "linked_deleted",
        "C1 <DELETED> is an erasure signal and is never upserted over a name",
        linked(),
        [signup(1, **GONE)],
    ),
    document(
        "linked_anonymised",
        "C1 anonymization_time tells the same",
        linked(),
        [signup(1, anonymization_time="2026-10-01T00:00:00Z")],
    ),
    document(
        "linked_deleted_attendee",
        "C1 an attendee's marker alone says nothing of the contact person",
        linked(),
        [signup(1, first_name="<DELETED>", last_name="<DELETED>")],
    ),
    document(
        "linked_signup_post",
        "C1 the real payload of a sign-up (samples/linked_registrations): several sign-ups in one",
        feed(
            "short_courses",
            "event_registration",
            {"email": "contact_person.email"},
            file={"type": "json", "pattern": "*.json"},
            submitted_at={"constant": "2026-11-01"},
            occasion=EVENT,
            arrangement={"records": "signups[]"},
            needs_person=False,
            ignored=[
                "first_name",
                "last_name",
                "date_of_birth",
                "extra_info",
                "phone_number",
                "user_consent",
                "city",
                "street_address",
                "zipcode",
                "contact_person.first_name",
                "contact_person.last_name",
                "contact_person.phone_number",
                "contact_person.native_language",
                "contact_person.service_language",
                "contact_person.notifications",
                "contact_person.membership_number",
            ],
        ),
        SIGNUP_POST,
    ),
    book(
        "linked_export",
        "C1 the export: title rows, titles in row 7, - for empty, Osallistuu and Jonossa",
        XLSX,
        [
            *ABOVE,
            TITLES,
            ["Lapsi Lauri", "01.01.2017", "-", "kaisa@example.org", "044 955 1234", "Osallistuu"],
            ["Toinen Tyttö", "-", "-", "kaisa@example.org", "-", "Jonossa"],
        ],
    ),
    book(
        "linked_export_names",
        "C1 'Sukunimi Etunimi' in one cell: the order is the mapping's",
        {
            **XLSX,
            "fields": {
                "email": {"column": "Yhteyshenkilön sähköposti"},
                "full_name": {"column": "Nimi", "order": "family_given"},
            },
            "ignored": ["Syntymäaika", "Puhelinnumero", "Yhteyshenkilön puhelinnumero"],
        },
        [*ABOVE, TITLES, ["af Ursin Erik", "01.01.1980", "-", "erik@example.org", "-", "Osallistuu"]],
    ),
    book(
        "linked_export_without_address",
        "C1 a dash is no address",
        XLSX,
        [*ABOVE, TITLES, ["Lapsi Lauri", "-", "-", "-", "-", "Osallistuu"]],
    ),
    text("course_row", "0.7 a registration begins course delivery and no marketing", course(), f"{HEAD}\n{row(1)}\n"),
    text(
        "course_states",
        "C1, C3 waiting list, cancellation, deletion",
        course(),
        f"{HEAD}\n{row(1, 'jonossa')}\n{row(2, 'peruttu')}\n{row(3, 'poistettu')}\n",
    ),
    text(
        "course_versions",
        "C1 the same registration twice in one file: a version each, cancelled later",
        course(),
        f"{HEAD}\n{row(1)}\n{row(1, 'peruttu', changed='2026-04-01 10:00:00')}\n",
    ),
    text(
        "course_payer",
        "0.9 an employer pays: the participant is not the payer",
        course(),
        f"{HEAD}\n{row(1, payer='työnantaja')}\n",
    ),
    text(
        "course_dates_change",
        "C3 the course's dates change later: the newest row tells them",
        course(),
        f"{HEAD}\n{row(1)}\n{row(2, ends='2027-02-01', changed='2026-05-01 10:00:00', email='olavi@example.org')}\n",
    ),
    text(
        "course_without_dates",
        "0.7 a course without dates: nobody would know when its data goes",
        course(),
        f"{HEAD}\n{row(1, ends='').replace('2026-11-01', '')}\n",
    ),
    text(
        "course_marketing_prohibition",
        "0.9 the flag is a prohibition; blank is no permission",
        course(consents=[prohibition("kielto", "Kyllä", refuses=["Ei"], states_current_value=True)]),
        f"{HEAD};kielto\n{row(1)};Kyllä\n{row(2)};\n{row(3)};Ei\n",
    ),
    text(
        "course_identity_code_dropped",
        "0.8 identity code, birth date and account never pass",
        course(ignored=["hetu", "syntymäaika", "tili"]),
        f"{HEAD};hetu;syntymäaika;tili\n{row(1)};131052-308T;13.10.1952;FI2112345600000785\n",
    ),
    document(
        "national_yes",
        "C2 koulutusmarkkinointilupa: the mapping decides whether it is ours",
        NATIONAL,
        [application(koulutusmarkkinointilupa=True)],
    ),
    document("national_missing", "C2 a missing answer is not a no", NATIONAL, [application()]),
    document(
        "national_false",
        "C2 false is a missing answer or a no: read as a present value, it lowers only what was true before",
        NATIONAL,
        [application(koulutusmarkkinointilupa=False)],
    ),
    document(
        "national_non_disclosure",
        "C2 turvakielto: whoever has it is not marketed to, where the mapping takes it as a prohibition",
        {
            **NATIONAL,
            "consents": [*NATIONAL["consents"], prohibition("turvakielto", "true", refuses=["false"])],
            "ignored": [column for column in NATIONAL["ignored"] if column != "turvakielto"] + ["lahiosoite"],
        },
        [application(koulutusmarkkinointilupa=True, turvakielto=True, lahiosoite="Salatie 1")],
    ),
    document(
        "national_not_ours",
        "C2 it is consent to disclose: a mapping that does not take it starts nothing",
        {**NATIONAL, "consents": [], "optional": [], "ignored": [*NATIONAL["ignored"], "koulutusmarkkinointilupa"]},
        [application(koulutusmarkkinointilupa=True)],
    ),
]
