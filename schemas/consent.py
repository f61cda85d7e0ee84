"""Consent: decisions and their fold. The state of an address is a pure function of the set of decisions about it.

The fold is commutative, associative and idempotent: the latest grant and the latest withdrawal of each clock are all
the state there is, so order of arrival, duplicates and replays cannot matter. The store has a set-based twin of it
(connectors.store.folding_sql), proven equal by a property test.

GDPR Art. 7(1) (consent can be demonstrated), 7(3) (withdrawn as easily as given), 21(3) (objection is absolute).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

NAMELESS = ""


class Value(StrEnum):
    """What a decision does."""

    GRANT = "grant"
    WITHDRAW = "withdraw"


class State(StrEnum):
    """The fold's outcome: NONE is a gap, neither yes nor no."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    NONE = "none"


class Actor(StrEnum):
    """Who acted. Acts of others than the subject only restrict, unless they carry evidence of the subject's own act.

    A guardian acts for a child, as the child would, and is named as such.
    """

    SUBJECT = "subject"
    GUARDIAN = "guardian"
    STAFF_ON_BEHALF = "staff_on_behalf"
    STAFF = "staff"
    IMPORT = "import"


def is_voidable(actor: Actor, *, is_read: bool) -> bool:
    """Whether undoing a run takes an event back. `is_read`: a mapping read it from a payload.

    The actor of such an event is what the mapping makes of it, so it may be void whoever it names; but what staff took
    down of a person's own words is that person's act. What was not read is an act itself: on a page, by one click, in
    the CRM.
    """
    return is_read and actor is not Actor.STAFF_ON_BEHALF


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision event as the fold sees it.

    `subject` is the person it speaks of, or NAMELESS for whoever reads the address; `topic` None covers all topics;
    `effective_at` (UTC) is the earliest instant its time can mean for a grant, the latest for a withdrawal. One that
    `is_void` counts for nothing, as if it had never been made.
    """

    subject: str
    purpose: str
    topic: str | None
    value: Value
    clock: str
    effective_at: datetime
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class AddressConsent:
    """The state of one address for one purpose: as a whole, by topic, and by subject (purpose under None)."""

    state: State
    topics: Mapping[str, State]
    subjects: Mapping[str, Mapping[str | None, State]]


def effective_at(
    value: Value, earliest: datetime | None, latest: datetime | None, received_at: datetime
) -> datetime | None:
    """The instant at which a decision counts; None where it cannot count at all.

    A coarse time counts at its earliest instant for a grant and at its latest for a withdrawal; no readable time counts
    at `received_at` and for a withdrawal only; a future time is clamped to `received_at`.
    """
    if value is Value.GRANT:
        return None if earliest is None else min(earliest, received_at)
    return received_at if latest is None else min(latest, received_at)


def fold(decisions: Iterable[Decision], *, window: timedelta) -> State:
    """Granted iff some grant is later than every withdrawal of its clock and by more than `window` than all others."""
    grants, withdrawals = latest_by_clock(decisions)
    if not grants and not withdrawals:
        return State.NONE
    wins = any(_wins(clock, at, withdrawals, window) for clock, at in grants.items())
    return State.GRANTED if wins else State.WITHDRAWN


def latest_by_clock(decisions: Iterable[Decision]) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """The latest grant and the latest withdrawal of each clock; merging two histories is taking the later of each."""
    latest: dict[Value, dict[str, datetime]] = {Value.GRANT: {}, Value.WITHDRAW: {}}
    for decision in standing(decisions):
        seen = latest[decision.value]
        seen[decision.clock] = max(seen.get(decision.clock, decision.effective_at), decision.effective_at)
    return latest[Value.GRANT], latest[Value.WITHDRAW]


def standing(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions that count: all but the void."""
    return [decision for decision in decisions if not decision.is_void]


def _wins(clock: str, granted_at: datetime, withdrawals: Mapping[str, datetime], window: timedelta) -> bool:
    return all(
        granted_at > withdrawn_at if other == clock else granted_at > withdrawn_at + window
        for other, withdrawn_at in withdrawals.items()
    )


def fold_subject(decisions: Sequence[Decision], topics: Sequence[str], *, window: timedelta) -> dict[str | None, State]:
    """States of one subject for one purpose: the purpose under None, and each topic that a decision bears on.

    Topic t is on iff the purpose-wide withdrawals, the purpose-wide grants and the grants naming t fold to granted,
    and the decisions naming t do not fold to withdrawn. The purpose is granted iff its purpose-wide fold is, or a
    topic is on.
    """
    decisions = standing(decisions)
    if not decisions:
        return {None: State.NONE}
    wide = [d for d in decisions if d.topic is None]
    states: dict[str | None, State] = {t: _fold_topic(decisions, t, window) for t in topics if _bears_on(decisions, t)}
    wide_granted = fold(wide, window=window) is State.GRANTED
    granted = wide_granted or State.GRANTED in states.values()
    states[None] = State.GRANTED if granted else State.WITHDRAWN
    return states


def _bears_on(decisions: Sequence[Decision], topic: str) -> bool:
    return any(d.topic in (None, topic) for d in decisions)


def _fold_topic(decisions: Sequence[Decision], topic: str, window: timedelta) -> State:
    base = [d for d in decisions if d.topic is None or (d.topic == topic and d.value is Value.GRANT)]
    naming = [d for d in decisions if d.topic == topic]
    is_on = fold(base, window=window) is State.GRANTED and fold(naming, window=window) is not State.WITHDRAWN
    return State.GRANTED if is_on else State.WITHDRAWN


def fold_address(
    decisions: Iterable[Decision], *, persons: Sequence[str], topics: Sequence[str], window: timedelta
) -> AddressConsent:
    """The state of one address for one purpose, most restrictive over its subjects.

    `persons` are the named persons at the address. A nameless decision is the sole person's where there is exactly
    one; otherwise a nameless grant is a subject of its own, and a nameless withdrawal counts for every subject with a
    decision. It is a subject itself only where nobody else decided: else no later grant could ever be enough.
    The address is granted iff at least one subject folds to granted and every subject with a decision does.
    """
    by_subject = _by_subject(standing(decisions), persons)
    subjects = {s: fold_subject(ds, topics, window=window) for s, ds in by_subject.items()}
    state = _most_restrictive([states[None] for states in subjects.values()])
    topic_states = {t: _topic_state(subjects, t, state) for t in topics} if subjects else {}
    return AddressConsent(state, topic_states, subjects)


def _by_subject(decisions: Iterable[Decision], persons: Sequence[str]) -> dict[str, list[Decision]]:
    sole = persons[0] if len(persons) == 1 else None
    grouped: dict[str, list[Decision]] = {}
    for decision in decisions:
        nameless = decision.subject == NAMELESS
        grouped.setdefault(sole if nameless and sole is not None else decision.subject, []).append(decision)
    for_everyone = [d for d in grouped.get(NAMELESS, []) if d.value is Value.WITHDRAW]
    if len(grouped) > 1 and for_everyone == grouped.get(NAMELESS):
        del grouped[NAMELESS]
    return {s: ds if s == NAMELESS else ds + for_everyone for s, ds in grouped.items()}


def _most_restrictive(states: Sequence[State]) -> State:
    if not states:
        return State.NONE
    return State.GRANTED if all(s is State.GRANTED for s in states) else State.WITHDRAWN


def _topic_state(subjects: Mapping[str, Mapping[str | None, State]], topic: str, purpose: State) -> State:
    bearing = [states[topic] for states in subjects.values() if topic in states]
    is_on = purpose is State.GRANTED and _most_restrictive(bearing) is State.GRANTED
    return State.GRANTED if is_on else State.WITHDRAWN
