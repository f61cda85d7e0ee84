"""What the CRM must hold, worked out from plain facts in the plainest way: the rules of the invariants written again.

Shares no code with the pipeline: nothing of transforms or the store is imported here. Facts are what people said and
did; the answer is contacts by (address, given name), consents by (address, purpose, topic) and registrations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Value = Literal["grant", "withdraw"]

SKEW = timedelta(minutes=5)
TOPICS = ("training", "rdi", "services", "events")
MARKETING, RELATED, TRACKING = "marketing", "related_events", "tracking"
LIVES = {"course_delivery": 730, "event_delivery": 30, RELATED: 730, "enquiry": 183}
SHOWS_PHONE = ("course_delivery", "event_delivery")


@dataclass(frozen=True)
class Said:
    """One decision. `earliest` and `latest` bound the time it can mean; None: no time that can be read."""

    address: str
    given: str
    value: Value
    clock: str
    earliest: datetime | None
    latest: datetime | None
    received_at: datetime
    topic: str | None = None
    purpose: str = MARKETING

    @property
    def counts_at(self) -> datetime:
        """The instant at which it counts: a grant at its earliest, a withdrawal at its latest, none in the future."""
        if self.value == "grant":
            assert self.earliest is not None, "a grant without a time is no grant"
            return min(self.earliest, self.received_at)
        return self.received_at if self.latest is None else min(self.latest, self.received_at)


@dataclass(frozen=True)
class Did:
    """One registration or enquiry as it stands. `ends_at` is the end of the course or event, or the enquiry's time."""

    address: str
    given: str
    kind: Literal["course_registration", "event_registration", "enquiry"]
    at: datetime
    ends_at: datetime
    key: str = ""
    occasion: str = ""
    status: str = "active"
    is_sale: bool = False
    notice_shown: bool = False


@dataclass(frozen=True)
class Named:
    """What a row that gave ground called its person."""

    address: str
    given: str
    at: datetime
    first_name: str | None
    last_name: str | None
    phone: str | None = None


@dataclass
class Facts:
    """All that is known; a set in meaning, whatever the order."""

    said: list[Said] = field(default_factory=list)
    did: list[Did] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)

    def __add__(self, other: "Facts") -> "Facts":
        return Facts(self.said + other.said, self.did + other.did, self.named + other.named)


Person = tuple[str, str]


@dataclass
class Crm:
    """Contacts by (address, given name), consents by (address, purpose, topic or ''), registrations by key."""

    contacts: dict[Person, dict[str, object]] = field(default_factory=dict)
    consents: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    registrations: dict[str, tuple[Person, str, str]] = field(default_factory=dict)


def expected(facts: Facts, *, now: datetime) -> Crm:
    """The CRM as it must be at `now`."""
    crm = Crm()
    addresses = {said.address for said in facts.said} | {did.address for did in facts.did}
    for address in sorted(addresses):
        _fill(crm, _at(facts, address), address, now)
    return crm


def _at(facts: Facts, address: str) -> Facts:
    return Facts(
        [said for said in facts.said if said.address == address],
        [did for did in facts.did if did.address == address],
        [named for named in facts.named if named.address == address],
    )


def _fill(crm: Crm, facts: Facts, address: str, now: datetime) -> None:
    persons = people(facts)
    folds = {purpose: Address(facts, persons, purpose) for purpose in (MARKETING, RELATED)}
    alive = {person: _living(person, facts, persons, folds, now) for person in persons}
    for person, purposes in alive.items():
        if purposes:
            crm.contacts[address, person] = _contact(facts, persons, person, purposes)
    for purpose, topics in ((MARKETING, TOPICS), (RELATED, ())):
        is_on: bool | None = folds[purpose].is_granted()
        if is_on is not False:
            is_on = True if any(purpose in purposes for purposes in alive.values()) else None
        if is_on is None:
            continue
        crm.consents[address, purpose, ""] = is_on
        for topic in topics:
            crm.consents[address, purpose, topic] = is_on and folds[purpose].has_topic(topic)
    if any(alive.values()):
        crm.consents[address, TRACKING, ""] = False
    for did in facts.did:
        person = whose(did.given, persons)
        if did.kind != "enquiry" and did.status != "deleted" and alive.get(person) and _ends_at(did) > now:
            crm.registrations[did.key] = ((address, person), did.occasion, did.status)


def people(facts: Facts) -> list[str]:
    """The persons at an address: each given name that gave ground; '' only where it is the only one."""
    names = {said.given for said in facts.said if said.value == "grant"}
    names |= {did.given for did in facts.did if did.kind == "enquiry" or did.key}
    full = sorted(name for name in names if name)
    return full if len(full) == 1 or "" not in names else [*full, ""]


def whose(given: str, persons: Sequence[str]) -> str:
    """The person that a name at the address stands for; a name of nobody stays itself."""
    if given == "" and len(persons) == 1:
        return persons[0]
    return given


class Address:
    """One purpose at one address: its decisions by subject, folded."""

    def __init__(self, facts: Facts, persons: Sequence[str], purpose: str) -> None:
        self._by_subject: dict[str, list[Said]] = {}
        decisions = [said for said in facts.said if said.purpose == purpose]
        for said in decisions:
            self._by_subject.setdefault(whose(said.given, persons), []).append(said)
        # A withdrawal without a name, where it is not the sole person's own, is everybody's.
        for said in self._by_subject.get("", []):
            if said.value == "withdraw":
                for subject, own in self._by_subject.items():
                    if subject != "":
                        own.append(said)
        # It is a subject of its own only by a grant, or where nobody else decided.
        if len(self._by_subject) > 1 and all(said.value == "withdraw" for said in self._by_subject.get("", [])):
            self._by_subject.pop("", None)

    def is_granted(self) -> bool | None:
        """None where nobody ever decided."""
        if not self._by_subject:
            return None
        return all(is_on(decisions) for decisions in self._by_subject.values())

    def is_granted_by(self, subject: str) -> bool:
        """Whether this subject's own decisions fold to granted."""
        return subject in self._by_subject and is_on(self._by_subject[subject])

    def has_topic(self, topic: str) -> bool:
        """Whether every subject who decided on the topic (or on all) wants it."""
        bearing = [ds for ds in self._by_subject.values() if any(d.topic in (None, topic) for d in ds)]
        return bool(bearing) and all(topic_is_on(decisions, topic) for decisions in bearing)


def wins(decisions: Iterable[Said]) -> bool:
    """Some grant is later than each withdrawal of its own clock, and by more than the window than any other's."""
    known = list(decisions)
    withdrawals = [said for said in known if said.value == "withdraw"]
    return any(
        all(
            said.counts_at > no.counts_at if said.clock == no.clock else said.counts_at > no.counts_at + SKEW
            for no in withdrawals
        )
        for said in known
        if said.value == "grant"
    )


def is_on(decisions: Sequence[Said]) -> bool:
    """The purpose as a whole: its purpose-wide decisions win, or a topic is on."""
    wide = wins(said for said in decisions if said.topic is None)
    return wide or any(topic_is_on(decisions, topic) for topic in TOPICS)


def topic_is_on(decisions: Sequence[Said], topic: str) -> bool:
    """Rule 5 of the fold, word by word."""
    naming = [said for said in decisions if said.topic == topic]
    base = [said for said in decisions if said.topic is None or (said.topic == topic and said.value == "grant")]
    return wins(base) and (not naming or wins(naming))


def _living(person: str, facts: Facts, persons: Sequence[str], folds: dict[str, Address], now: datetime) -> set[str]:
    alive = set()
    if folds[MARKETING].is_granted() and folds[MARKETING].is_granted_by(person):
        alive.add(MARKETING)
    for did in facts.did:
        if whose(did.given, persons) != person or did.status not in ("active", "waitlisted"):
            continue
        if _ends_at(did) > now:
            alive.add(_purpose(did))
        sold_until = did.at + timedelta(days=LIVES[RELATED])
        if did.is_sale and did.notice_shown and sold_until > now and folds[RELATED].is_granted() is not False:
            alive.add(RELATED)
    return alive


def _purpose(did: Did) -> str:
    return {"course_registration": "course_delivery", "event_registration": "event_delivery"}.get(did.kind, did.kind)


def _ends_at(did: Did) -> datetime:
    return did.ends_at + timedelta(days=LIVES[_purpose(did)])


def _contact(facts: Facts, persons: Sequence[str], person: str, alive: set[str]) -> dict[str, object]:
    named = sorted((n for n in facts.named if whose(n.given, persons) == person), key=lambda n: n.at)
    names = [n for n in named if n.first_name or n.last_name]
    phones = [n.phone for n in named if n.phone] if alive & set(SHOWS_PHONE) else []
    columns: dict[str, object] = {"donotbulkemail": MARKETING not in alive, "followemail": False}
    if names and names[-1].first_name:
        columns["firstname"] = names[-1].first_name
    if names and names[-1].last_name:
        columns["lastname"] = names[-1].last_name
    if phones:
        columns["mobilephone"] = phones[-1]
    return columns
