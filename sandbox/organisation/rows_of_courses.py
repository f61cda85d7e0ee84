"""Rows of the short-course system: what its two feeds show of a registration, column by column.

All that the register holds of an applicant is in the feed, identity code and account too, as it is in such systems:
what may be taken is for the mapping to say.
"""

from datetime import datetime

from sandbox.organisation import marks
from sandbox.organisation.pen import Pen

Row = dict[str, object]

_STATUS_WORDS = {
    "active": ("Vahvistettu", "Ilmoittautunut", "Maksettu"),
    "waitlisted": ("Jonossa",),
    "cancelled": ("Peruttu", "Peruutettu"),
    "deleted": ("Poistettu",),
}
_UNKNOWN_STATUSES = ("Käsittelyssä", "Siirretty", "???")

REGISTRATION_COLUMNS = (
    "registration_id",
    "participant_id",
    "given_name",
    "family_name",
    "email",
    "phone",
    "identity_code",
    "street_address",
    "postal_code",
    "city",
    "employer",
    "job_title",
    "payer_type",
    "payer_name",
    "invoice_address",
    "iban",
    "course_id",
    "course_name",
    "course_field",
    "course_starts_at",
    "course_ends_at",
    "charge",
    "price_eur",
    "status",
    "registered_at",
    "changed_at",
)
SHORT_COURSE_COLUMNS = (*REGISTRATION_COLUMNS, "marketing_consent", "marketing_changed_at")
OPEN_STUDIES_COLUMNS = (*REGISTRATION_COLUMNS, "marketing_prohibited")


def short_course_row(pen: Pen) -> Row:
    """A row of `registration_feed`; its times are aware, its price whole euros."""
    return _registration(pen) | {"marketing_consent": pen.yes_no(), "marketing_changed_at": _flag_changed_at(pen)}


def open_studies_row(pen: Pen) -> Row:
    """A row of `open_studies_feed`."""
    return _registration(pen) | {"marketing_prohibited": pen.yes_no()}


def status_word(pen: Pen) -> str:
    """The Finnish word for the state, one of several that mean the same, or one that nobody has explained."""
    if "status" in pen.submission.faults:
        return pen.rng.choice(_UNKNOWN_STATUSES)
    words = _STATUS_WORDS[pen.submission.status or "active"]
    return words[pen.submission.seed % len(words)]


def _registration(pen: Pen) -> Row:
    return _identifiers(pen) | _applicant(pen) | _payer(pen) | _course(pen) | _state(pen)


def _identifiers(pen: Pen) -> Row:
    key = pen.submission.key
    return {"registration_id": key, "participant_id": f"H{key}"}


def _applicant(pen: Pen) -> Row:
    person = pen.person
    return {
        "given_name": pen.given_name(),
        "family_name": pen.family_name(),
        "email": pen.email(),
        "phone": pen.phone(),
        "identity_code": pen.mark(person.identity_code),
        "street_address": pen.mark(person.home_address),
        "postal_code": person.postal_code,
        "city": person.city.upper(),
        "employer": pen.organisation(),
        "job_title": person.job_title,
    }


def _payer(pen: Pen) -> Row:
    if pen.submission.is_payer:
        return {
            "payer_type": "Osallistuja",
            "payer_name": pen.full_name(),
            "invoice_address": "",
            "iban": pen.mark(pen.person.account_number),
        }
    return {
        "payer_type": "Työnantaja",
        "payer_name": pen.person.employer,
        "invoice_address": pen.mark(marks.invoice_address(pen.person.no)),
        "iban": "",
    }


def _course(pen: Pen) -> Row:
    course = pen.course
    return {
        "course_id": course.id,
        "course_name": course.name,
        "course_field": course.field,
        "course_starts_at": course.starts_at,
        "course_ends_at": course.ends_at,
        "charge": "Maksullinen" if course.price_eur else "Maksuton",
        "price_eur": course.price_eur,
    }


def _state(pen: Pen) -> Row:
    submission = pen.submission
    return {"status": status_word(pen), "registered_at": submission.first_at, "changed_at": submission.at}


def _flag_changed_at(pen: Pen) -> datetime | None:
    submission = pen.submission
    if submission.said:
        return submission.said[0].stated_from
    return submission.first_at if submission.flag else None
