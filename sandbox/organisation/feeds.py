"""The feeds: for each its columns, the resource that serves it, and the hand that writes its rows."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.organisation import rows_of_courses as courses
from sandbox.organisation import rows_of_web_forms as web
from sandbox.organisation import rows_of_webropol as webropol
from sandbox.organisation.pen import Pen
from sandbox.organisation.rows_of_courses import Row


@dataclass(frozen=True, slots=True)
class Feed:
    """`resource` is the view, survey or form that serves the feed, or what its files' names begin with."""

    source: str
    resource: str
    columns: tuple[str, ...]
    write: Callable[[Pen], Row]


FEEDS = {
    "short_courses_registrations": Feed(
        "short_courses", "registration_feed", courses.SHORT_COURSE_COLUMNS, courses.short_course_row
    ),
    "short_courses_open_studies": Feed(
        "short_courses", "open_studies_feed", courses.OPEN_STUDIES_COLUMNS, courses.open_studies_row
    ),
    "webropol_event_spring": Feed("webropol", "kevatpaiva", webropol.SPRING_COLUMNS, webropol.spring_row),
    "webropol_event_seminar": Feed("webropol", "sote_seminaari", webropol.SEMINAR_COLUMNS, webropol.seminar_row),
    "webropol_survey_feedback": Feed(
        "webropol", "5eed0001-0000-4000-8000-00000000feed", webropol.FEEDBACK_COLUMNS, webropol.feedback_row
    ),
    "webropol_registrations_api": Feed(
        "webropol", "5eed0002-0000-4000-8000-00000000feed", webropol.EVENT_FORM_COLUMNS, webropol.event_form_row
    ),
    "web_forms_contact": Feed("web_forms", "yhteydenotto", web.CONTACT_COLUMNS, web.contact_row),
    "web_forms_newsletter": Feed("web_forms", "uutiskirje", web.NEWSLETTER_COLUMNS, web.newsletter_row),
    "web_forms_campaign": Feed("web_forms", "kampanja", web.CAMPAIGN_COLUMNS, web.campaign_row),
    "manual_entries": Feed("manual", "kirjaukset", web.MANUAL_COLUMNS, web.manual_row),
}
