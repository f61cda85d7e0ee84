"""The organisation itself: its people, courses and events, and the history of what was submitted, day by day."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from random import Random

from sandbox.organisation.acting import World
from sandbox.organisation.calendar import Days
from sandbox.organisation.courses import SEMINAR, SPRING_DAY, Occasion, make_courses, make_events
from sandbox.organisation.feeds import FEEDS
from sandbox.organisation.pen import Pen
from sandbox.organisation.people import Person, make_people
from sandbox.organisation.rows_of_courses import Row
from sandbox.organisation.timeline import make_history
from sandbox.organisation.truth import Submission


@dataclass
class Organisation:
    """Made by `make_organisation`; nothing in it changes afterwards.

    `people[n - 1]` has number n. `submissions` holds every version in the order given out; `occasions` courses and
    events by id. A source read once a day gives out every version; one read later gives only the newest of each key.
    """

    seed: int
    days: Days
    people: list[Person]
    occasions: dict[str, Occasion]
    submissions: list[Submission] = field(repr=False)

    @cached_property
    def by_feed(self) -> dict[str, list[Submission]]:
        """The submissions of each feed, in order."""
        feeds: dict[str, list[Submission]] = {feed: [] for feed in FEEDS}
        for submission in self.submissions:
            feeds[submission.feed].append(submission)
        return feeds

    @cached_property
    def planted(self) -> list[str]:
        """The marked values in the sources that must never be found downstream of the landing, sorted, each once."""
        found: set[str] = set()
        for submission in self.submissions:
            pen = self.pen(submission)
            FEEDS[submission.feed].write(pen)
            found.update(pen.marks)
        return sorted(found)

    def person(self, person_no: int) -> Person:
        return self.people[person_no - 1]

    def received(self, first_on: date, last_on: date | None = None) -> list[Submission]:
        """The versions given out on these days, both inclusive, to a reader who comes by once each evening."""
        last = last_on or first_on
        return [s for s in self.submissions if first_on <= s.delivered_on <= last]

    def as_of(self, feed: str, through: date) -> list[Submission]:
        """What the feed shows at the end of `through`: the newest version of each submission, the oldest first."""
        newest: dict[object, Submission] = {}
        for submission in self.by_feed[feed]:
            if submission.delivered_on > through:
                break
            newest[submission.key or submission.no] = submission
        return sorted(newest.values(), key=lambda s: (s.first_at, s.no))

    def pen(self, submission: Submission) -> Pen:
        """The hand that writes the submission; a feed writes with it all that the submission's row has."""
        # An anonymous answer has an author all the same: what they left blank the pen leaves blank.
        number = submission.person_no or submission.seed % len(self.people) + 1
        booker = number if submission.seed % 5 else (number * 7) % len(self.people) + 1
        occasion = self.occasions.get(submission.occasion_id or "")
        return Pen(submission, self.person(number), self.person(booker), occasion)

    def row(self, submission: Submission) -> Row:
        """The submission as its source writes it: one value for each column of its feed, in their order."""
        written = FEEDS[submission.feed].write(self.pen(submission))
        return {column: written[column] for column in FEEDS[submission.feed].columns}

    def rows(self, submissions: Iterable[Submission]) -> Iterator[Row]:
        return map(self.row, submissions)


def make_organisation(*, seed: int, people: int = 5000, days: int = 60, until: date) -> Organisation:
    """The organisation of `seed`: `people` people and what they submitted in the `days` days that end with `until`.

    The same arguments make the same organisation, on every machine; no clock, file or network is read.
    """
    rng = Random(seed)
    span = Days(until - timedelta(days=days - 1), until)
    crowd = make_people(rng, people)
    world = World(
        rng=rng,
        days=span,
        people=crowd,
        courses=make_courses(rng, count=max(12, people // 60), until=until, prefix="LK"),
        open_courses=make_courses(rng, count=max(6, people // 200), until=until, prefix="AV"),
        events=make_events(rng, until=until),
    )
    occasions = (*world.courses, *world.open_courses, *world.events, SPRING_DAY, SEMINAR)
    return Organisation(seed, span, crowd, {o.id: o for o in occasions}, make_history(world))
