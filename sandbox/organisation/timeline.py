"""The history: who does what on which day, put in order and numbered as the sources number it."""

from collections.abc import Callable, Iterator
from uuid import UUID

from sandbox.organisation import answering, registering
from sandbox.organisation.acting import World
from sandbox.organisation.people import Person
from sandbox.organisation.truth import Submission

Thread = list[Submission]
Act = Callable[[World, Person], Thread]

ACTS: dict[str, tuple[float, Act]] = {
    registering.SHORT_COURSES: (0.40, registering.register_for_course),
    registering.OPEN_STUDIES: (0.14, registering.register_for_open_studies),
    registering.SPRING: (0.10, registering.register_for_spring_day),
    registering.SEMINAR_FEED: (0.07, registering.register_for_seminar),
    registering.EVENTS_API: (0.18, registering.register_for_event),
    answering.FEEDBACK: (0.10, answering.answer_survey),
    answering.CONTACT: (0.12, answering.send_contact_form),
    answering.NEWSLETTER: (0.14, answering.subscribe),
    answering.CAMPAIGN: (0.08, answering.answer_campaign),
    answering.MANUAL: (0.05, answering.tell_staff),
}
"""For each feed the share of people who use it, and what they do there."""

_REPEAT_SHARE = 0.06
_RESPONSE_IDS = 0x5EED_0000_0000_4000_8000_0000_0000_0000
_NUMBERED: dict[str, Callable[[int], str]] = {
    registering.SHORT_COURSES: lambda number: f"R{200_000 + number}",
    registering.OPEN_STUDIES: lambda number: f"A{700_000 + number}",
    registering.SPRING: str,
    registering.EVENTS_API: lambda number: _response_id(1, number),
    answering.FEEDBACK: lambda number: _response_id(2, number),
    answering.CONTACT: lambda number: str(10_000 + number),
    answering.NEWSLETTER: lambda number: str(3_000_000 + number),
    answering.CAMPAIGN: lambda number: str(6_000_000 + number),
}


def make_history(world: World) -> list[Submission]:
    """All versions of all submissions by the day given out, then the time, numbered from 1. Everybody submits."""
    threads = sorted((thread for person in world.people for thread in _acts_of(world, person)), key=_first_at)
    _give_keys(threads)
    history = sorted((version for thread in threads for version in thread), key=_given_out)
    for number, submission in enumerate(history, start=1):
        submission.no = number
    return history


def _acts_of(world: World, person: Person) -> Iterator[Thread]:
    acted = False
    for share, act in ACTS.values():
        if world.chance(share):
            acted = True
            yield act(world, person)
            if world.chance(_REPEAT_SHARE):
                yield act(world, person)
    if not acted:
        yield answering.subscribe(world, person)


def _give_keys(threads: list[Thread]) -> None:
    counts: dict[str, int] = {}
    for thread in threads:
        feed = thread[0].feed
        counts[feed] = counts.get(feed, 0) + 1
        key = _NUMBERED[feed](counts[feed]) if feed in _NUMBERED else ""
        for version in thread:
            version.key = key


def _first_at(thread: Thread) -> tuple[float, str, int]:
    first = thread[0]
    return first.at.timestamp(), first.feed, first.seed


def _given_out(submission: Submission) -> tuple[int, float, str, int]:
    return submission.delivered_on.toordinal(), submission.at.timestamp(), submission.feed, submission.seed


def _response_id(survey: int, number: int) -> str:
    return str(UUID(int=_RESPONSE_IDS | survey << 96 | number * 0x9E3779B1))
