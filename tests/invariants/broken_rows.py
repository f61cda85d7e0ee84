"""Rows with one broken cell each, in every way that a cell can be broken: what is written, and the fault it must be told as.

Three feeds: course registrations with every field, a contact form, and what staff took down.
"""

from dataclasses import dataclass
from typing import Any

from schemas.mappings import Mapping
from tests.invariants.feeds import COLUMNS, MAPPINGS, WORDING

_COURSES: dict[str, Any] = {
    **MAPPINGS["courses"],
    "owner": "Training office",
    "fields": {
        **MAPPINGS["courses"]["fields"],
        "organisation": {"column": "Employer"},
        "country": {"column": "Country"},
        "postal_code": {"column": "Postal code"},
        "city": {"column": "City"},
    },
    "drafts": {"column": "State", "values": {"open": "draft", "sent": "final"}},
}
_COURSES["submitted_at"] = {"column": "Time", "formats": ["iso", "fi_datetime"], "timezone": "Europe/Helsinki"}

FEEDS: dict[str, Mapping] = {
    feed: Mapping.model_validate(mapping)
    for feed, mapping in {
        "courses": _COURSES,
        "contact": MAPPINGS["contact"],
        "manual": {**MAPPINGS["manual"], "owner": "Customer services"},
    }.items()
}
TITLES = {
    "courses": (*COLUMNS["courses"], "Employer", "Country", "Postal code", "City", "State"),
    "contact": COLUMNS["contact"],
    "manual": COLUMNS["manual"],
}


@dataclass(frozen=True)
class Break:
    """One way to break a row: the cell, what stands there, and the field and code by which it must be told."""

    feed: str
    column: str
    broken: str
    field: str
    fault: str


BREAKS = (
    Break("courses", "Email", "aino(at)example.org", "email", "email_invalid"),
    Break("courses", "Email", "no address", "email", "email_invalid"),
    Break("courses", "Email", "aino@example.org; maija@example.org", "email", "email_several"),
    Break("courses", "Email", "", "email", "email_missing"),
    Break("courses", "First", "12345", "given_name", "name_unreadable"),
    Break("courses", "Last", "NiÅ¡kanen", "family_name", "mojibake"),
    Break("courses", "Last", "Virta\x07nen", "family_name", "control_characters"),
    Break("courses", "Phone", "4.01234567E8", "phone", "phone_float"),
    Break("courses", "Phone", "12", "phone", "phone_invalid"),
    Break("courses", "Phone", "0700 123 123", "phone", "phone_premium"),
    Break("courses", "Phone", "0800 123 456", "phone", "phone_service_number"),
    Break("courses", "Phone", "+44 7700 900123 / +44 7700 900124", "phone", "phone_several"),
    Break("courses", "Employer", "x" * 101, "organisation", "too_long"),
    Break("courses", "Country", "Ruritania", "country", "country_unknown"),
    Break("courses", "Postal code", "4010X", "postal_code", "postal_code_invalid"),
    Break("courses", "Time", "2026-02-30 10:00:00", "submitted_at", "date_impossible"),
    Break("courses", "Time", "yesterday", "submitted_at", "date_unreadable"),
    Break("courses", "Time", "2026-11-10 25:10:00", "submitted_at", "time_impossible"),
    Break("courses", "Time", "2026-03-29 03:30:00", "submitted_at", "time_skipped"),
    Break("courses", "Status", "perhaps", "status", "unknown_status"),
    Break("courses", "Status", "", "status", "unknown_status"),
    Break("courses", "Course", "", "occasion.id", "occasion_missing"),
    Break("courses", "Charge", "barter", "is_sale", "unknown_answer"),
    Break("courses", "Marketing", "why not", "consents.marketing.training", "unknown_answer"),
    Break("courses", "State", "half", "drafts", "unknown_answer"),
    Break("contact", "Answer me", "sometime", "wants_contact", "unknown_answer"),
    Break("contact", "Newsletter", "monthly", "consents.marketing", "unknown_answer"),
    Break("manual", "Purpose", "gossip", "spoken.purpose", "unknown_purpose"),
    Break("manual", "By", "", "spoken.collected_by", "spoken_incomplete"),
    Break("manual", "Method", "", "spoken.method", "spoken_incomplete"),
    Break("manual", "Words", "", "spoken.wording", "spoken_incomplete"),
    Break("manual", "Said", "the other day", "spoken.said_at", "date_unreadable"),
    Break("manual", "Decision", "hm", "spoken.decision", "unknown_answer"),
)


def clean_row(feed: str, number: int) -> dict[str, str]:
    """A row of a feed with nothing wrong; everybody has an address of their own."""
    person = {"Email": f"person{number}@example.org", "First": "Aino", "Last": "Virtanen", "Time": _time(number)}
    if feed == "courses":
        return {**person, **_course(number)}
    if feed == "contact":
        return {**person, "Id": str(number), "Answer me": "Yes", "Newsletter": ("Yes", "No", "")[number % 3]}
    told = {"By": "Maija", "Method": "phone", "Words": WORDING["text"], "Said": "2026-11-10"}
    return {**person, **told, "Purpose": "marketing", "Topic": "", "Decision": ("yes", "no")[number % 2]}


def _course(number: int) -> dict[str, str]:
    occasion = str(number % 7)
    return {
        "Id": str(number),
        "Changed": "2026-11-12 09:00:00",
        "Phone": f"040 {1000000 + number}",
        "Course": f"c{occasion}",
        "Course name": f"Course {occasion}",
        "Starts": "2026-12-01T09:00:00",
        "Ends": "2026-12-20T16:00:00",
        "Charge": ("paid", "free")[number % 2],
        "Status": ("in", "queue", "in")[number % 3],
        "Marketing": ("Yes", "")[number % 2],
        "Marketing changed": "2026-11-11 09:00:00",
        "Employer": "Example Ltd",
        "Country": "Finland",
        "Postal code": "00100",
        "City": "Helsinki",
        "State": "sent",
    }


def _time(number: int) -> str:
    return f"2026-11-10 {8 + number % 10:02d}:{number % 60:02d}:00"
