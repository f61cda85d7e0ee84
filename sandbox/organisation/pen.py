"""The hand that writes one row: right values as messily as people write them, the same way each time it is asked."""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from sandbox.organisation import mess
from sandbox.organisation.calendar import local
from sandbox.organisation.courses import Occasion
from sandbox.organisation.people import Person
from sandbox.organisation.truth import Submission

DELETED = "<DELETED>"
"""What a source leaves where it anonymised a value (City of Helsinki, linkedevents, anonymize_past_signups)."""


@dataclass(slots=True)
class Pen:
    """Writes `submission` of `person`, whose `occasion` it may have; `booker` is who filled the form in.

    `marks` gathers the planted values that the row holds.
    """

    submission: Submission
    person: Person
    booker: Person
    occasion: Occasion | None = None
    marks: list[str] = field(default_factory=list)
    rng: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = Random(self.submission.seed)

    @property
    def course(self) -> Occasion:
        assert self.occasion is not None, "only registrations have an occasion"
        return self.occasion

    def mark(self, value: str) -> str:
        """A planted value; `<DELETED>` once the source has anonymised the row."""
        if self.submission.is_deleted:
            return DELETED
        self.marks.append(value)
        return value

    def sometimes(self, one_in: int) -> bool:
        return self.submission.seed % one_in == 0

    def email(self) -> str:
        if self.submission.is_deleted:
            return DELETED
        if "email" in self.submission.faults:
            return mess.unreadable_email(self.rng, self.person.address)
        return mess.write_email(self.rng, self.submission.address) if self.submission.address else ""

    def given_name(self) -> str:
        return self._name(self.submission.given_name)

    def family_name(self) -> str:
        return self._name(self.submission.family_name)

    def full_name(self, *, family_first: bool = False) -> str:
        given, family = self.submission.given_name or "", self.submission.family_name or ""
        return self._name(f"{family} {given}" if family_first else f"{given} {family}")

    def phone(self) -> str:
        if self.submission.is_deleted:
            return DELETED
        if "phone" in self.submission.faults:
            return mess.unreadable_phone(self.rng, self.person.phone)
        return mess.write_phone(self.rng, self.submission.phone) if self.submission.phone else ""

    def organisation(self) -> str:
        return DELETED if self.submission.is_deleted else self.submission.organisation or ""

    def yes_no(self) -> str:
        return mess.write_yes_no(self.rng, self.submission.flag)

    def time(self, instant: datetime, written: str) -> str:
        """The local time in the form `written` (see `finnish`), or an impossible one."""
        if "submitted_at" in self.submission.faults:
            return mess.impossible_time(self.rng)
        return finnish(instant, written)

    def _name(self, name: str | None) -> str:
        if self.submission.is_deleted:
            return DELETED
        return mess.write_name(self.rng, name) if name else ""


def finnish(instant: datetime, written: str = "{d}.{m}.{y} {H:02d}.{M:02d}") -> str:
    """A local time in a form made of d, m, y, H, M and S."""
    t = local(instant)
    return written.format(d=t.day, m=t.month, y=t.year, H=t.hour, M=t.minute, S=t.second)
