"""The feeds of the tests' small organisation: their mappings and the columns of their files. Data, no behaviour.

`answers` and `survey` have the same columns but come from different systems, and so from different clocks.
"""

from typing import Any

WORDING = {"text": "I want the newsletter by e-mail.", "language": "en", "version": "1"}

PERSON = {"email": {"column": "Email"}, "given_name": {"column": "First"}, "family_name": {"column": "Last"}}
TIME = {"column": "Time", "formats": ["iso"], "timezone": "Europe/Helsinki"}


def _consent(column: str | None, **changes: Any) -> dict[str, Any]:
    answers = {"column": column, "grants": ["Yes"], "refuses": ["No"]} if column else {"by_submitting": True}
    return {"purpose": "marketing", "wording": WORDING, "notice_version": "2026-01", **answers, **changes}


def _prohibition(column: str, **changes: Any) -> dict[str, Any]:
    return {
        "purpose": "marketing",
        "column": column,
        "polarity": "prohibition",
        "grants": ["Yes"],
        "refuses": ["No"],
        **changes,
    }


def _feed(feed: str, source: str, kind: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "version": 1,
        "source": source,
        "feed": feed,
        "title": feed,
        "kind": kind,
        "owner": "Communications",
        "file": {"type": "csv", "pattern": f"{feed}_*.csv"},
        "key": ["Id"],
        "submitted_at": TIME,
        "fields": PERSON,
    }
    return {**plain, **changes}


QUESTIONS = [
    _consent("Newsletter"),
    _consent("Training", topic="training"),
    _consent("Rdi", topic="rdi"),
    _prohibition("Stop"),
]

MAPPINGS: dict[str, dict[str, Any]] = {
    "newsletter": _feed("newsletter", "web_forms", "mailing_list", consents=[_consent(None)]),
    "answers": _feed("answers", "web_forms", "mailing_list", consents=QUESTIONS),
    "survey": _feed("survey", "webropol", "survey", consents=QUESTIONS),
    "contact": _feed(
        "contact",
        "web_forms",
        "enquiry",
        wants_contact={"column": "Answer me", "values": {"Yes": "yes", "No": "no"}},
        consents=[_consent("Newsletter")],
    ),
    "courses": _feed(
        "courses",
        "short_courses",
        "course_registration",
        changed_at={"column": "Changed", "formats": ["iso"]},
        fields={**PERSON, "phone": {"column": "Phone"}},
        occasion={
            "id": {"column": "Course"},
            "name": {"column": "Course name"},
            "starts_at": {"column": "Starts", "formats": ["iso"]},
            "ends_at": {"column": "Ends", "formats": ["iso"]},
            "is_sale": {"column": "Charge", "values": {"paid": "yes", "free": "no"}},
            "notice_shown": True,
        },
        registration={
            "status": {
                "column": "Status",
                "values": {"in": "active", "queue": "waitlisted", "out": "cancelled", "gone": "deleted"},
            }
        },
        consents=[
            _consent(
                "Marketing",
                topic="training",
                states_current_value=True,
                changed_at={"column": "Marketing changed", "formats": ["iso"]},
            )
        ],
    ),
    "prohibitions": _feed(
        "prohibitions",
        "short_courses",
        "survey",
        changed_at={"column": "Changed", "formats": ["iso"]},
        consents=[_prohibition("Prohibited", states_current_value=True)],
    ),
    "manual": _feed(
        "manual",
        "manual",
        "manual_entry",
        key=[],
        spoken={
            "collected_by": "By",
            "method": "Method",
            "wording": "Words",
            "said_at": {"column": "Said", "formats": ["iso", "fi_date"]},
            "purpose": "Purpose",
            "topic": "Topic",
            "decision": "Decision",
            "decisions": {"yes": "grant", "no": "withdraw"},
            "notice_version": "2026-01",
        },
    ),
}

COLUMNS: dict[str, tuple[str, ...]] = {
    "newsletter": ("Id", "Time", "Email", "First", "Last"),
    "answers": ("Id", "Time", "Email", "First", "Last", "Newsletter", "Training", "Rdi", "Stop"),
    "survey": ("Id", "Time", "Email", "First", "Last", "Newsletter", "Training", "Rdi", "Stop"),
    "contact": ("Id", "Time", "Email", "First", "Last", "Answer me", "Newsletter"),
    "courses": (
        *("Id", "Time", "Changed", "Email", "First", "Last", "Phone", "Course", "Course name", "Starts", "Ends"),
        *("Charge", "Status", "Marketing", "Marketing changed"),
    ),
    "prohibitions": ("Id", "Time", "Changed", "Email", "First", "Last", "Prohibited"),
    "manual": ("Time", "Email", "First", "Last", "By", "Method", "Words", "Said", "Purpose", "Topic", "Decision"),
}
