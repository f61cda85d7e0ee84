"""Other form engines and event systems, through the same mappings (facts B6, C3 and D of single values)."""

from datetime import datetime
from typing import Any

from tests.corpus.cases import EVENT, Case, book, consent, document, feed, prohibition, text

JSON = {"type": "json", "pattern": "*.json"}
CONSENT_TEXT = {"text": "I agree to the newsletter.", "language": "en", "version": "3"}


def gravity(*entries: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], Any]:
    plain: dict[str, Any] = {
        "file": JSON,
        "key": ["id"],
        "submitted_at": {"column": "date_created", "formats": ["drupal"], "timezone": "UTC"},
        "changed_at": {"column": "date_updated", "formats": ["drupal"], "timezone": "UTC"},
        "form": {"column": "form_id", "values": ["4"]},
        "set_aside": [
            {"column": "status", "values": ["spam"], "rule": "spam"},
            {"column": "status", "values": ["trash"], "rule": "trash"},
        ],
        "consents": [consent("5.1", "1", wording=CONSENT_TEXT)],
        "ignored": ["created_by", "ip", "source_url", "user_agent", "is_starred", "is_read", "5.2", "5.3"],
    }
    return feed(
        "web_forms", "mailing_list", {"email": "3", "given_name": "1.3", "family_name": "1.6"}, **{**plain, **changes}
    ), list(entries)


def entry(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "form_id": "4",
        "created_by": None,
        "date_created": "2026-03-01 08:00:00",
        "date_updated": "2026-03-01 08:00:00",
        "is_starred": 0,
        "is_read": 0,
        "ip": "192.0.2.1",
        "source_url": "https://example.org/",
        "user_agent": "x",
        "status": "active",
        "1.3": "Aino",
        "1.6": "Virtanen",
        "3": "aino@example.org",
        "5.1": "1",
        "5.2": "I agree",
        "5.3": "3",
        **changes,
    }


HUBSPOT = feed(
    "web_forms",
    "mailing_list",
    {"email": "values.email", "given_name": "values.firstname"},
    file=JSON,
    key=["conversionId"],
    submitted_at={"column": "submittedAt", "formats": ["unix_ms"]},
    ignored=["pageUrl"],
    arrangement={
        "records": "results[]",
        "pairs": [
            {"list": "values", "name": "name", "values": ["value"]},
            {"list": "legalConsentOptions.consent.communications", "name": "subscriptionTypeId", "values": ["value"]},
        ],
    },
    consents=[consent("legalConsentOptions.consent.communications.999", "true", silent=["false"])],
)
TYPEFORM = feed(
    "web_forms",
    "mailing_list",
    {
        "email": "form_response.answers.mail",
        "full_name": {"column": "form_response.answers.name", "order": "given_family"},
    },
    file=JSON,
    key=["form_response.token"],
    submitted_at={"column": "form_response.submitted_at"},
    form={"column": "form_response.form_id", "values": ["lT4Z3j"]},
    ignored=["event_id", "event_type", "form_response.landed_at", "form_response.definition.fields"],
    optional=["form_response.answers.news", "form_response.answers.topics"],
    arrangement={
        "pairs": [
            {
                "list": "form_response.answers",
                "name": "field.ref",
                "values": ["email", "text", "boolean", "date", "phone_number", "choice.label", "choices.labels"],
            }
        ],
        "options": [{"column": "form_response.answers.topics", "options": ["Training", "Events"]}],
    },
    consents=[
        consent("form_response.answers.news", "true", refuses=["false"]),
        consent("form_response.answers.topics:Events", "Events", topic="events"),
    ],
)


def answer(ref: str, kind: str, value: Any) -> dict[str, Any]:
    return {"type": kind, kind: value, "field": {"id": f"id-{ref}", "type": kind, "ref": ref}}


def typeform(*answers: dict[str, Any], form_id: str = "lT4Z3j") -> dict[str, Any]:
    response = {
        "form_id": form_id,
        "token": "a3a1",
        "submitted_at": "2026-03-01T08:00:00Z",
        "landed_at": "2026-03-01T07:59:00Z",
        "hidden": {},
        "definition": {"fields": [{"id": "x"}]},
        "answers": list(answers),
    }
    return {"event_id": "e1", "event_type": "form_response", "form_response": response}


MS_FORMS = feed(
    "web_forms",
    "survey",
    {"email": "Sähköpostiosoitteesi", "full_name": {"column": "Nimesi", "order": "given_family"}},
    file={"type": "xlsx", "pattern": "*.xlsx"},
    key=["Id"],
    submitted_at={"column": "Completion time"},
    blanks=["anonymous"],
    ignored=["Start time", "Email", "Name", "Last modified time"],
    arrangement={"options": [{"column": "Aiheet", "options": ["Koulutus", "Tapahtumat"]}]},
    consents=[consent("Aiheet:Koulutus", "Koulutus", topic="training")],
)
MS_TITLES = [
    "Id",
    "Start time",
    "Completion time",
    "Email",
    "Name",
    "Last modified time",
    "Sähköpostiosoitteesi",
    "Nimesi",
    "Aiheet",
]
AT = datetime(2026, 3, 1, 10, 0)

TITO = feed(
    "web_forms",
    "event_registration",
    {"email": "Ticket Email", "full_name": {"column": "Ticket Full Name", "order": "given_family"}},
    file={"type": "csv", "pattern": "*.csv", "delimiter": ","},
    key=["Ticket ID"],
    submitted_at={"column": "Ticket Created Date"},
    occasion=EVENT,
    registration={"status": {"column": "Void Status", "values": {"false": "active", "true": "cancelled"}}},
    set_aside=[{"column": "Ticket Reference", "values": ["UNASSIGNED"], "rule": "unassigned"}],
)
TITO_TITLES = "Ticket ID,Ticket Created Date,Ticket Full Name,Ticket Email,Ticket Reference,Void Status\n"

LYYTI = feed(
    "web_forms",
    "event_registration",
    {"email": "email", "given_name": "firstname", "family_name": "lastname"},
    file=JSON,
    key=["uid"],
    submitted_at={"column": "registered_at"},
    occasion=EVENT,
    registration={
        "status": {
            "column": "status",
            "values": {
                "reactedyes": "active",
                "show": "active",
                "noshow": "active",
                "reactedno": "cancelled",
                "notreacted": "cancelled",
            },
        }
    },
    arrangement={"records": "events.*.participants[]"},
    ignored=["id", "group_id", "is_contact_person", "lang"],
    consents=[
        prohibition(
            "email_blocked", "true", "1", refuses=["false", "0"], stated_by="provider", states_current_value=True
        )
    ],
)


def lyyti(**people: dict[str, Any]) -> dict[str, Any]:
    listed = [
        {
            "id": number,
            "uid": uid,
            "group_id": None,
            "is_contact_person": False,
            "lang": "fi",
            "status": "reactedyes",
            "email_blocked": False,
            "registered_at": "2026-03-01T10:00:00+02:00",
            **who,
        }
        for number, (uid, who) in enumerate(people.items())
    ]
    return {"events": {"e-77": {"participants": listed}}}


AINO = {"email": "aino@example.org", "firstname": "Aino", "lastname": "Virtanen"}
OLAVI = {"email": "olavi@example.org", "firstname": "Olavi", "lastname": "Öhman"}

ENGINES: list[Case] = [
    document(
        "gravity_entry",
        "B6 Gravity Forms: keys are field numbers, times are UTC, the consent field's .1 is the tick",
        *gravity(entry(1)),
    ),
    document(
        "gravity_spam_and_trash",
        "B6 spam and trash are nobody's submissions",
        *gravity(entry(1, status="spam"), entry(2, status="trash"), entry(3)),
    ),
    document(
        "gravity_other_form",
        "B6 an entry of another form is not read by this one's numbers",
        *gravity(entry(1, form_id="9")),
    ),
    document("gravity_unticked", "B6 an unticked consent field is empty", *gravity(entry(1, **{"5.1": ""}))),
    document(
        "hubspot_submissions",
        "B6 HubSpot: named values, milliseconds, consent by subscription type",
        HUBSPOT,
        {
            "results": [
                {
                    "conversionId": "c1",
                    "submittedAt": 1772352000123,
                    "pageUrl": "https://example.org/",
                    "values": [{"name": "email", "value": "aino@example.org"}, {"name": "firstname", "value": "Aino"}],
                    "legalConsentOptions": {
                        "consent": {"communications": [{"value": True, "subscriptionTypeId": 999, "text": "News"}]}
                    },
                },
                {
                    "conversionId": "c2",
                    "submittedAt": 1772352001000,
                    "pageUrl": "https://example.org/",
                    "values": [
                        {"name": "email", "value": "olavi@example.org"},
                        {"name": "firstname", "value": "Olavi"},
                    ],
                    "legalConsentOptions": {
                        "consent": {"communications": [{"value": False, "subscriptionTypeId": 999, "text": "News"}]}
                    },
                },
            ],
            "paging": {"next": {"after": "x"}},
        },
    ),
    document(
        "hubspot_unknown_value",
        "B6 a named value that nobody mapped stops the batch by name",
        HUBSPOT,
        {
            "results": [
                {
                    "conversionId": "c1",
                    "submittedAt": 1772352000123,
                    "pageUrl": "",
                    "values": [
                        {"name": "email", "value": "aino@example.org"},
                        {"name": "shoe_size", "value": "43"},
                        {"name": "firstname", "value": "Aino"},
                    ],
                    "legalConsentOptions": {
                        "consent": {"communications": [{"value": True, "subscriptionTypeId": 999}]}
                    },
                }
            ]
        },
    ),
    document(
        "typeform_webhook",
        "B6 Typeform: answers by the field's ref, key is the token",
        TYPEFORM,
        typeform(
            answer("mail", "email", "aino@example.org"),
            answer("name", "text", "Aino Virtanen"),
            answer("news", "boolean", True),
            {"type": "choices", "choices": {"labels": ["Training", "Events"]}, "field": {"ref": "topics"}},
        ),
    ),
    document(
        "typeform_unanswered",
        "B6 an unanswered question is not in the answers",
        TYPEFORM,
        typeform(answer("mail", "email", "aino@example.org"), answer("name", "text", "Aino Virtanen")),
    ),
    document(
        "typeform_refused",
        "B6 a boolean no is a no",
        TYPEFORM,
        typeform(
            answer("mail", "email", "aino@example.org"),
            answer("name", "text", "Aino Virtanen"),
            answer("news", "boolean", False),
        ),
    ),
    document(
        "typeform_other_form",
        "B6 a response of another form",
        TYPEFORM,
        typeform(answer("mail", "email", "aino@example.org"), answer("name", "text", "Aino"), form_id="other"),
    ),
    book(
        "ms_forms",
        "B6 Microsoft Forms: anonymous is no address, options end with ;",
        MS_FORMS,
        [MS_TITLES, [1, AT, AT, "anonymous", "", "", "aino@example.org", "Aino Virtanen", "Koulutus;Tapahtumat;"]],
    ),
    book(
        "ms_forms_other_option",
        "B6 the text of 'other' is among the options: told, the known ones are read",
        MS_FORMS,
        [MS_TITLES, [1, AT, AT, "anonymous", "", "", "aino@example.org", "Aino Virtanen", "Koulutus;Jotain muuta;"]],
    ),
    book(
        "ms_forms_anonymous",
        "B6 a public form's Email column is no contact point",
        {
            **MS_FORMS,
            "fields": {"email": {"column": "Email"}},
            "ignored": ["Start time", "Name", "Last modified time", "Sähköpostiosoitteesi", "Nimesi"],
        },
        [MS_TITLES, [1, AT, AT, "anonymous", "", "", "", "", "Koulutus;"]],
    ),
    text(
        "tito_tickets",
        "B6 Tito: a ticket that nobody is named for bears its buyer's details and is nobody's",
        TITO,
        TITO_TITLES
        + "1,2026-03-01 10:00:00,Aino Virtanen,aino@example.org,ABCD-1,false\n2,2026-03-01 10:00:00,Osto Ostaja,ostaja@example.org,UNASSIGNED,false\n3,2026-03-01 10:00:00,Olavi Öhman,olavi@example.org,ABCD-2,true\n",
    ),
    document(
        "lyyti_participants",
        "C3 Lyyti: participants in a map of events; noshow is still a registration",
        LYYTI,
        lyyti(p1=AINO, p2={**OLAVI, "status": "noshow"}),
    ),
    document("lyyti_declined", "C3 reactedno is a cancellation", LYYTI, lyyti(p1={**AINO, "status": "reactedno"})),
    document(
        "lyyti_email_blocked",
        "C3 email_blocked: suppression with a reason of its own, nobody's withdrawal",
        LYYTI,
        lyyti(p1={**AINO, "email_blocked": True}, p2=OLAVI),
    ),
    document("lyyti_unknown_status", "C3 an unknown status is named", LYYTI, lyyti(p1={**AINO, "status": "maybe"})),
    text(
        "eventilla_hetu",
        "C3 an identity code in event data is realistic: the column is dropped, the one in free text cut out",
        feed(
            "web_forms",
            "event_registration",
            {"email": "Email"},
            key=["Id"],
            submitted_at={"column": "Time"},
            occasion=EVENT,
            answers={"Comments": "comments"},
            ignored=["hetu"],
        ),
        "Id;Time;Email;hetu;Comments\n1;2026-03-01 10:00:00;aino@example.org;131052-308T;tunnus on 131052–308T\n",
    ),
]

CASES: list[Case] = ENGINES
