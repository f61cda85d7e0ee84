"""What overstays, by plain SELECTs and the days of docs/retention.md: nothing here is shared with what deletes.

Whom a hold keeps is let pass here: that a hold keeps, and what, has its own tests.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

from tests.invariants.world import World

AFTER = {"event_registration": 30, "course_registration": 730}
NEWS, MESSAGE, GROUNDLESS, EVIDENCE, IMAGE = 730, 183, 90, 1096, 30
DETAILS = ("phone", "organisation", "country", "postal_code", "city")
USING_DETAILS = {"course_delivery", "event_delivery"}
Key = tuple[str, str]


class Store:
    """Every table that has an end, as rows; `world.now` is the instant that it is looked at."""

    def __init__(self, world: World) -> None:
        self.world, self.now = world, world.now
        self.occasions = {row.occasion_pk: row for row in self.rows("occasion")}
        self.registrations = {key(row): row for row in self.rows("registration")}
        self.submissions = {key(row): row for row in self.rows("submission")}
        self.subjects = {row.subject_id: row for row in self.rows("subject")}
        self.lowered = {
            row.contact_point_id
            for row in self.rows("consent_state")
            if (row.purpose, row.topic, row.state) == ("related_events", "", "withdrawn")
        }
        self.stated = {key(row) for row in self.rows("stated_value")}
        self.held = {
            hold.person_id
            for hold in self.rows("legal_hold")
            if hold.released_at is None and (hold.until_on is None or hold.until_on >= self.now.date())
        }
        self.living: defaultdict[Any, set[str]] = defaultdict(set)
        for row in self.rows("person_purpose"):
            if row.ends_at is None or row.ends_at > self.now:
                self.living[row.person_id].add(row.purpose)

    def rows(self, table: str) -> Any:
        return self.world.query(f"select * from intake.{table}")

    def is_past(self, since: datetime, days: int) -> bool:
        return since + timedelta(days=days) <= self.now

    def ended_at(self, registration: Any) -> datetime:
        occasion = self.occasions[registration.occasion_pk]
        return occasion.ends_at or occasion.starts_at or registration.registered_at  # type: ignore[no-any-return]

    def is_over(self, registration: Any) -> bool:
        return self.is_past(self.ended_at(registration), AFTER[self.occasions[registration.occasion_pk].kind])

    def may_get_news(self, registration: Any) -> bool:
        """Whether news of similar events stand on it: a sale under a notice, not taken back, of no child who objected."""
        return (
            registration.is_sale and registration.notice_shown and registration.status in ("active", "waitlisted")
            and not self.subjects[registration.subject_id].is_child
            and registration.contact_point_id not in self.lowered
            and not self.is_past(registration.registered_at, NEWS)
        )  # fmt: skip

    def is_held(self, row: Any) -> bool:
        return row is not None and self.person_of(row) in self.held

    def person_of(self, submission: Any) -> Any:
        return self.subjects[submission.subject_id].person_id if submission.subject_id else None


def key(row: Any) -> Key:
    return row.source, row.submission_id


def overstaying(world: World) -> list[str]:
    """One line for each row that is older than its rule, of the kinds below; to be asked for after a run of retention."""
    store = Store(world)
    found = (_answers, _registrations, _submissions, _people, _addresses, _dated)
    return sorted(line for check in found for line in check(store))


def _answers(store: Store) -> Iterator[str]:
    for row in store.rows("answer"):
        registration, submission = store.registrations.get(key(row)), store.submissions.get(key(row))
        if store.is_held(submission):
            continue
        if registration is not None:
            if store.is_over(registration):
                yield "answer of what is over"
        elif submission is None or not submission.is_enquiry:
            yield "answer of nothing"
        elif store.is_past(submission.submitted_from or submission.received_at, MESSAGE):
            yield "message"


def _registrations(store: Store) -> Iterator[str]:
    used = {row.occasion_pk for row in store.registrations.values()}
    for row in store.registrations.values():
        if store.is_over(row) and not store.may_get_news(row) and not store.is_held(row):
            yield f"registration, {row.status}"
    for row in store.occasions.values():
        ended_at = row.ends_at or row.starts_at
        if row.occasion_pk not in used and (ended_at is None or store.is_past(ended_at, AFTER[row.kind])):
            yield "occasion"


def _submissions(store: Store) -> Iterator[str]:
    for row in store.submissions.values():
        person = store.person_of(row)
        if person in store.held:
            continue
        if row.subject_id is None and key(row) not in store.stated and store.is_past(row.received_at, GROUNDLESS):
            yield "submission without ground"
        if row.subject_id is not None and not store.living[person] and key(row) not in store.registrations:
            others = {key(one) for one in store.submissions.values() if store.person_of(one) == person}
            if not others & store.registrations.keys():
                yield "submission of nobody's"
        if any(getattr(row, name) for name in DETAILS) and not store.living[person] & USING_DETAILS:
            yield "detail"


def _people(store: Store) -> Iterator[str]:
    registered = {store.subjects[row.subject_id].person_id for row in store.registrations.values()}
    for row in store.rows("person"):
        if row.person_id in store.held:
            continue
        if not store.living[row.person_id] and row.person_id not in registered:
            yield "person"
        if row.phone and not store.living[row.person_id] & USING_DETAILS:
            yield "phone of a person"


def _addresses(store: Store) -> Iterator[str]:
    used = {row.contact_point_id for row in (*store.rows("person"), *store.registrations.values())}
    used |= {row.contact_point_id for row in store.submissions.values()}
    used |= {row.contact_point_id for row in store.rows("consent_state") if row.state == "withdrawn"}
    yield from ("address" for row in store.rows("contact_point") if row.contact_point_id not in used)
    granted = {
        (row.contact_point_id, row.person_id, row.purpose)
        for row in store.rows("person_consent")
        if row.state == "granted" and store.living[row.person_id]
    }
    last: dict[Any, datetime] = {}
    events = {row.event_key: row for row in store.rows("consent_event")}
    for row in events.values():
        for whose in _whose(store, row):
            about = row.contact_point_id, whose, row.purpose
            last[about] = max(row.effective_at, last.get(about, row.effective_at))
    for evidence in store.rows("consent_evidence"):
        row = events[evidence.event_key]
        about, by_all = ((row.contact_point_id, whose, row.purpose) for whose in (_whose(store, row)[0], ""))
        if about not in granted and store.is_past(max(last[about], last.get(by_all, last[about])), EVIDENCE):
            yield "evidence"


def _whose(store: Store, event: Any) -> list[Any]:
    """Whose an event is: the person's, or the name's where it is no person's; and everybody's ('') where it has no name."""
    subject = store.subjects.get(event.subject_id)
    own = (subject and subject.person_id) or event.subject_id
    return [own, ""] if subject is not None and not subject.given_key else [own]


def _dated(store: Store) -> Iterator[str]:
    batches = {row.batch_id: row.expires_at for row in store.rows("batch")}
    yield from ("landing" for row in store.rows("landing_key") if batches[row.batch_id] <= store.now)
    yield from ("payload" for row in store.rows("landing_payload") if batches[row.batch_id] <= store.now)
    dated = (
        ("quarantine", "first_seen_at", GROUNDLESS), ("row_image", "kept_at", IMAGE), ("pending_grant", "expires_at", 0),
        ("data_request", "closed_at", EVIDENCE), ("person_request", "closed_at", EVIDENCE),
        ("legal_hold", "released_at", EVIDENCE), ("access_grant", "revoked_at", EVIDENCE),
    )  # fmt: skip
    for table, column, days in dated:
        for row in store.rows(table):
            at = getattr(row, column)
            if at is not None and store.is_past(at, days):
                yield table
    for table, column in (("legal_hold", "until_on"), ("access_grant", "ends_on")):
        for row in store.rows(table):
            last_day = getattr(row, column)
            if last_day and store.is_past(datetime.combine(last_day, time.max, store.now.tzinfo), EVIDENCE):
                yield table
