"""Acts: what somebody does at one of the doors, as a row of that door's file and as facts for the model.

Each builder makes a valid act by default. Facts are told by hand here, not by reading the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tests.invariants.feeds import COLUMNS
from tests.invariants.model import MARKETING, RELATED, Did, Facts, Named, Said, Value

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
T0 = datetime(2026, 11, 10, 10, tzinfo=UTC)
RECEIVED = datetime(2026, 11, 20, 10, tzinfo=UTC)
CLOCKS = {
    "newsletter": "web_forms",
    "answers": "web_forms",
    "survey": "webropol",
    "contact": "web_forms",
    "courses": "short_courses",
    "prohibitions": "short_courses",
    "manual": "manual",
}
FAMILY = {"aino": "Virtanen", "maija": "Lahti", "kalle": "Salo"}
PHONE = {"aino": "+447700900111", "maija": "+447700900112", "kalle": "+447700900113"}


@dataclass(frozen=True)
class Act:
    """One row of a feed and what it means."""

    feed: str
    row: dict[str, str]
    facts: Facts = field(repr=False)

    def written(self, **cells: str) -> "Act":
        """The same act with other cells, meaning the same."""
        return replace(self, row={**self.row, **cells})


@dataclass(frozen=True)
class Who:
    """Who acts: the address as typed, and the given name ('' = none given)."""

    address: str
    given: str = ""

    @property
    def key(self) -> str:
        """The address as one canonical key."""
        return self.address.strip().lower()

    def cells(self) -> dict[str, str]:
        """Address and names as a form shows them."""
        names = {"First": self.given.title(), "Last": FAMILY.get(self.given, "")}
        return {"Email": self.address, **names}


def iso(at: datetime, *, minute: bool = False) -> str:
    """A UTC time as the forms write it."""
    return at.strftime("%Y-%m-%dT%H:%MZ" if minute else "%Y-%m-%dT%H:%M:%SZ")


def _row(feed: str, cells: dict[str, str]) -> dict[str, str]:
    return {**dict.fromkeys(COLUMNS[feed], ""), **cells}


def _named(who: Who, at: datetime, *, phone: bool = False) -> Named:
    number = PHONE.get(who.given) if phone else None
    return Named(who.key, who.given, at, who.given.title() or None, FAMILY.get(who.given), number)


def _said(
    feed: str, who: Who, value: Value, at: datetime, *, width: timedelta = timedelta(), topic: str | None = None
) -> Said:
    return Said(who.key, who.given, value, CLOCKS[feed], at, at + width, RECEIVED, topic)


def _objection(withdrawal: Said) -> Said:
    return replace(withdrawal, purpose=RELATED)


def sign_up(no: int, who: Who, at: datetime) -> Act:
    """Submitting the sign-up form, which is the opt-in."""
    row = _row("newsletter", {"Id": f"n{no}", "Time": iso(at), **who.cells()})
    return Act("newsletter", row, Facts([_said("newsletter", who, "grant", at)], [], [_named(who, at)]))


def answer(
    no: int,
    who: Who,
    at: datetime,
    *,
    feed: str = "answers",
    newsletter: str = "",
    training: str = "",
    rdi: str = "",
    stop: str = "",
    minute: bool = False,
) -> Act:
    """Answering the questions of a form: each `Yes`, `No`, blank, or something that cannot be read."""
    width = timedelta(seconds=60) if minute else timedelta()
    told = {"Newsletter": newsletter, "Training": training, "Rdi": rdi, "Stop": stop}
    row = _row(feed, {"Id": f"a{no}", "Time": iso(at, minute=minute), **who.cells(), **told})
    said = []
    for topic, given in ((None, newsletter), ("training", training), ("rdi", rdi)):
        if given == "Yes":
            said.append(_said(feed, who, "grant", at, width=width, topic=topic))
        elif given == "No":
            said.append(_said(feed, who, "withdraw", at, width=width, topic=topic))
    if stop == "Yes":
        prohibition = _said(feed, who, "withdraw", at, width=width)
        said += [prohibition, _objection(prohibition)]
    grants = any(one.value == "grant" for one in said)
    return Act(feed, row, Facts(said, [], [_named(who, at)] if grants else []))


def ask(no: int, who: Who, at: datetime, *, newsletter: str = "", answer_me: str = "Yes") -> Act:
    """The contact form, with its tick for the newsletter."""
    row = _row(
        "contact", {"Id": f"c{no}", "Time": iso(at), **who.cells(), "Answer me": answer_me, "Newsletter": newsletter}
    )
    said = (
        [_said("contact", who, "grant" if newsletter == "Yes" else "withdraw", at)]
        if newsletter in ("Yes", "No")
        else []
    )
    did = [Did(who.key, who.given, "enquiry", at, at)] if answer_me == "Yes" else []
    return Act("contact", row, Facts(said, did, [_named(who, at)] if did or newsletter == "Yes" else []))


def speak(who: Who, at: datetime, *, decision: str, topic: str = "", has_evidence: bool = True) -> Act:
    """An entry by staff of what somebody said; without evidence a yes is none."""
    evidence = {"By": "Desk 1", "Method": "phone", "Words": "I want the newsletter."} if has_evidence else {}
    told = {"Said": iso(at), "Purpose": MARKETING, "Topic": topic, "Decision": decision}
    row = _row("manual", {"Time": iso(at), **who.cells(), **evidence, **told})
    said = []
    if decision == "no":
        said = [_said("manual", who, "withdraw", at, topic=topic or None)]
        said += [] if topic else [_objection(said[0])]
    elif has_evidence:
        said = [_said("manual", who, "grant", at, topic=topic or None)]
    return Act("manual", row, Facts(said, [], [_named(who, at)] if any(s.value == "grant" for s in said) else []))


def register(
    no: int,
    who: Who,
    at: datetime,
    *,
    status: str = "in",
    changed_at: datetime | None = None,
    charge: str = "free",
    course: str = "LK1",
    marketing: str = "",
    marketing_at: datetime | None = None,
    last_flag: str = "",
) -> Act:
    """A version of a course registration. `last_flag` is what its marketing flag showed at the version before."""
    changed_at = changed_at or at
    ends_at = T0 + timedelta(days=60)
    row = _row(
        "courses",
        {
            "Id": f"r{no}",
            "Time": iso(at),
            "Changed": iso(changed_at),
            **who.cells(),
            "Phone": PHONE.get(who.given, ""),
            "Course": course,
            "Course name": f"Course {course}",
            "Starts": iso(T0 + timedelta(days=30)),
            "Ends": iso(ends_at),
            "Charge": charge,
            "Status": status,
            "Marketing": marketing,
            "Marketing changed": iso(marketing_at) if marketing_at else "",
        },
    )
    words = {"in": "active", "queue": "waitlisted", "out": "cancelled", "gone": "deleted"}
    did = Did(
        who.key, who.given, "course_registration", at, ends_at, f"r{no}", course, words[status], charge == "paid", True
    )
    said = _flag(who, marketing, last_flag, marketing_at or changed_at, granted_at=marketing_at or at)
    gives_ground = status in ("in", "queue") or any(one.value == "grant" for one in said)
    return Act("courses", row, Facts(said, [did], [_named(who, changed_at, phone=True)] if gives_ground else []))


def _flag(who: Who, shown: str, last: str, withdrawn_at: datetime, *, granted_at: datetime) -> list[Said]:
    """An event only where the present value differs from the last one seen; a plain no at first is a default."""
    if shown == "Yes" and last != "Yes":
        return [_said("courses", who, "grant", granted_at, topic="training")]
    if shown == "No" and last == "Yes":
        return [_said("courses", who, "withdraw", withdrawn_at, topic="training")]
    return []


def prohibit(no: int, who: Who, at: datetime, *, prohibited: str = "Yes", changed_at: datetime | None = None) -> Act:
    """A record whose flag forbids marketing, at its first sight."""
    changed_at = changed_at or at
    cells = {"Id": f"p{no}", "Time": iso(at), "Changed": iso(changed_at), **who.cells(), "Prohibited": prohibited}
    said = [_said("prohibitions", who, "withdraw", changed_at)] if prohibited == "Yes" else []
    return Act("prohibitions", _row("prohibitions", cells), Facts([*said, *map(_objection, said)], [], []))


def facts_of(acts: Sequence[Act]) -> Facts:
    """Everything that the acts mean; of the versions of one registration the last given stands."""
    whole = Facts()
    for act in acts:
        whole = whole + act.facts
    standing = {did.key or str(id(did)): did for did in whole.did}
    return Facts(whole.said, list(standing.values()), whole.named)
