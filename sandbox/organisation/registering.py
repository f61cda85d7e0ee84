"""Acts of registering: courses and open studies in the short-course system, events in Webropol.

A function makes one thread: the versions of one submission, in order, each given out on a later day than the last.
"""

from dataclasses import replace

from sandbox.organisation.acting import World
from sandbox.organisation.calendar import day_of, exactly, minute_of
from sandbox.organisation.courses import SEMINAR, SPRING_DAY, Occasion
from sandbox.organisation.people import Person
from sandbox.organisation.truth import Said, Submission

SHORT_COURSES = "short_courses_registrations"
OPEN_STUDIES = "short_courses_open_studies"
SPRING = "webropol_event_spring"
SEMINAR_FEED = "webropol_event_seminar"
EVENTS_API = "webropol_registrations_api"

_VALUES = {"yes": ("grant", "tick"), "no": ("withdraw", "refusal")}


def register_for_course(world: World, person: Person) -> list[Submission]:
    """A registration with a marketing consent that shows its present value and the time of its last change."""
    first = world.begin(SHORT_COURSES, person, faults=("email", "status", "consent"))
    _choose(world, first, _course(world, world.courses, first))
    first.flag = "unreadable" if "consent" in first.faults else world.answer(person)
    first.said, first.notice_shown = _flag_said(first), True
    return _later_versions(world, person, first)


def register_for_open_studies(world: World, person: Person) -> list[Submission]:
    """A registration with a marketing prohibition, which says nothing when it is blank or `Ei`."""
    first = world.begin(OPEN_STUDIES, person, faults=("email", "status"))
    _choose(world, first, _course(world, world.open_courses, first))
    first.flag = "yes" if world.chance(0.08) else world.rng.choice(("no", ""))
    first.said = _prohibition_said(first)
    return _later_versions(world, person, first)


def register_for_spring_day(world: World, person: Person) -> list[Submission]:
    """A registration for a free event in a numbered list, with a box for news of events; some are cancelled later."""
    first = world.begin(SPRING, person, faults=("email", "status", "submitted_at"))
    first.date_only = world.chance(0.05)
    first.flag = "yes" if world.answer(person) == "yes" else ""
    stated = day_of(first.at) if first.date_only else minute_of(first.at)
    first.said = (Said("marketing", "events", "grant", "tick", *stated),) if first.flag else ()
    first.occasion_id, first.is_sale, first.notice_shown = SPRING_DAY.id, False, True
    first.status = "waitlisted" if world.chance(0.08) else "active"
    versions = [first]
    if first.status == "waitlisted" and world.chance(0.6):
        _add(world, versions, status="active")
    if world.chance(0.10):
        _add(world, versions, status="cancelled")
    return versions


def register_for_seminar(world: World, person: Person) -> list[Submission]:
    """A paid registration whose box was ticked by whoever booked it, which is nobody's consent but the booker's."""
    first = world.begin(SEMINAR_FEED, person, faults=("email",))
    first.occasion_id, first.status, first.is_sale = SEMINAR.id, "active", True
    first.is_payer, first.notice_shown = not world.chance(0.4), True
    first.flag = "yes" if world.answer(person) == "yes" else ""
    stated = exactly(first.at)
    first.said = (Said("marketing", "events", "grant", "tick", *stated, actor="booker"),) if first.flag else ()
    return [first]


def register_for_event(world: World, person: Person) -> list[Submission]:
    """A registration for one of many events, with a question for news of training to be answered yes or no."""
    first = world.begin(EVENTS_API, person, faults=("email", "consent"))
    first.at = first.first_at = first.at.replace(microsecond=world.rng.randrange(1000) * 1000)
    event = world.rng.choice(world.events)
    first.occasion_id, first.status, first.is_sale = event.id, "active", event.price_eur > 0
    first.is_payer, first.notice_shown = not world.chance(0.25), True
    first.flag = "unreadable" if "consent" in first.faults else world.answer(person)
    if first.flag in _VALUES:
        value, way = _VALUES[first.flag]
        first.said = (Said("marketing", "training", value, way, *exactly(first.at)),)  # type: ignore[arg-type]
    return [first]


def _course(world: World, courses: list[Occasion], submission: Submission) -> Occasion:
    """A course that had not ended when it was registered for, but for some entered late."""
    for _ in range(5):
        course = world.rng.choice(courses)
        if course.ends_at > submission.at or world.chance(0.1):
            break
    return course


def _choose(world: World, submission: Submission, course: Occasion) -> None:
    submission.occasion_id, submission.is_sale = course.id, course.price_eur > 0
    submission.is_payer = not world.chance(0.3)
    submission.status = "waitlisted" if world.chance(0.08) else "active"


def _later_versions(world: World, person: Person, first: Submission) -> list[Submission]:
    """A bad address mended, a place from the waiting list, a changed flag, a cancellation, an anonymised record."""
    versions = [first]
    if "email" in first.faults and world.chance(0.4):
        mended = tuple(fault for fault in first.faults if fault != "email")
        _add(world, versions, address=person.address, faults=mended)
    if first.status == "waitlisted" and world.chance(0.6):
        _add(world, versions, status="active")
    if world.chance(0.12):
        _change_flag(world, versions)
    if world.chance(0.10):
        _add(world, versions, status="deleted" if world.chance(0.1) else "cancelled")
    if world.chance(0.004):
        _anonymise(world, versions)
    return versions


def _add(world: World, versions: list[Submission], **changes: object) -> None:
    """A later version with `changes`; none when the history has no later day."""
    last = versions[-1]
    moment = world.when(last.feed, after=last.delivered_on)
    if moment is None:
        return
    at, delivered_on = moment
    if "status" in changes:
        changes["faults"] = tuple(fault for fault in last.faults if fault != "status")
    version = replace(last, at=at, delivered_on=delivered_on, version=last.version + 1, **changes)  # type: ignore[arg-type]
    if last.feed == OPEN_STUDIES:
        version.said = _prohibition_said(version)
    versions.append(version)


def _change_flag(world: World, versions: list[Submission]) -> None:
    flips = {"yes": ("no", "no", ""), "no": ("yes",), "": ("yes", "no"), "unreadable": ("yes",)}
    if versions[-1].feed == OPEN_STUDIES:
        flips = {"yes": ("no",), "no": ("yes",), "": ("yes",)}
    before, count = versions[-1], len(versions)
    flag = world.rng.choice(flips[before.flag])
    _add(world, versions, flag=flag, faults=tuple(fault for fault in before.faults if fault != "consent"))
    if len(versions) > count and before.feed == SHORT_COURSES:
        versions[-1].said = _flag_said(versions[-1])


def _anonymise(world: World, versions: list[Submission]) -> None:
    nobody = {"address": None, "given_name": None, "family_name": None, "phone": None, "organisation": None}
    count = len(versions)
    _add(world, versions, **nobody, flag="", faults=(), is_deleted=True)
    if len(versions) > count:
        versions[-1].said = ()


def _flag_said(version: Submission) -> tuple[Said, ...]:
    if version.flag not in _VALUES:
        return ()
    value, way = _VALUES[version.flag]
    return (Said("marketing", "training", value, way, *exactly(version.at), current_value=True),)  # type: ignore[arg-type]


def _prohibition_said(version: Submission) -> tuple[Said, ...]:
    if version.flag != "yes":
        return ()
    # The flag has no time of its own: it was set some time between the registration and the row's last change.
    since, until = version.first_at, version.at
    return (Said("marketing", None, "withdraw", "prohibition", since, until, current_value=True),)
