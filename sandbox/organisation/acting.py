"""What every act of the history shares: when it is done, by whom, how its flaws are dealt out."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from sandbox.organisation.calendar import Days, at_some_time, before_export, local_day
from sandbox.organisation.courses import Occasion
from sandbox.organisation.exports import EXPORTS
from sandbox.organisation.people import Person
from sandbox.organisation.truth import Submission

_BAD_SHARE = 0.02
_PHONE_FAULT_SHARE = 0.04
_SEEDS = 1 << 30


@dataclass(slots=True)
class World:
    """What the acts are made from: one generator, used in a fixed order, so that a seed gives one history."""

    rng: Random
    days: Days
    people: list[Person]
    courses: list[Occasion]
    open_courses: list[Occasion]
    events: list[Occasion]

    def when(self, feed: str, after: date | None = None) -> tuple[datetime, date] | None:
        """An instant and the day by whose end it is given out, later than `after`; None when no day is left."""
        first = self.days.first_on if after is None else after + timedelta(days=1)
        left = (self.days.until - first).days
        if left < 0:
            return None
        day = first + timedelta(days=self.rng.randrange(left + 1))
        plan = EXPORTS.get(feed)
        if plan is None:
            at = at_some_time(self.rng, day)
            return at, local_day(at)
        return before_export(self.rng, day), plan.delivered_on(self.days, day)

    def begin(self, feed: str, person: Person, *, faults: tuple[str, ...] = ()) -> Submission:
        """The first version of a submission by `person`, with a fault of `faults` in one of fifty and phone faults."""
        moment = self.when(feed)
        assert moment is not None, "a history has at least one day"
        submission = Submission(feed, person.no, *moment, self.rng.randrange(_SEEDS))
        submission.given_name, submission.family_name = person.given_name, person.family_name
        submission.address, submission.phone, submission.organisation = person.address, person.phone, person.employer
        self._spoil(submission, faults)
        return submission

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def answer(self, person: Person) -> str:
        """An answer to a question for permission: `yes`, `no` or '' (left blank)."""
        if self.rng.random() < person.attitude:
            return "yes"
        return "no" if self.rng.random() < 0.4 else ""

    def _spoil(self, submission: Submission, faults: tuple[str, ...]) -> None:
        found = []
        if faults and self.chance(_BAD_SHARE):
            found.append(self.rng.choice(faults))
        if self.chance(_PHONE_FAULT_SHARE):
            found.append("phone")
            submission.phone = None
        if "email" in found:
            submission.address = None
        submission.faults = tuple(found)


def without_contact(submission: Submission) -> Submission:
    """The submission with neither phone nor organisation, for forms that ask for none."""
    submission.phone = submission.organisation = None
    submission.faults = tuple(fault for fault in submission.faults if fault != "phone")
    return submission
