"""Identity: which subjects of a shared address are which person.

Same canonical address and compatible names are one person; a different given name on the same address is never merged
by itself. A pure function of the names known at the address, so that order of arrival cannot matter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import pandas as pd

NAMELESS = ""
_SUBJECT = ("subject_id", "given_key", "has_ground", "person_id", "maker_id")


@dataclass(frozen=True, slots=True)
class Subject:
    """One name seen at an address: folded given name ('' = none), whether it gave ground, its person so far."""

    subject_id: UUID
    given_key: str
    has_ground: bool
    person_id: UUID | None
    maker_id: UUID | None


def group_names(given_keys: Iterable[str]) -> dict[str, str]:
    """Which name each name stands with: itself, or the one full name it is compatible with.

    An initial stands with the sole full name that begins with it. No name at all stands with the sole group there is,
    and alone otherwise.
    """
    keys = set(given_keys)
    full = {key for key in keys if len(key) > 1}
    groups = {key: key for key in full}
    for initial in (key for key in keys if len(key) == 1):
        matches = [key for key in full if key.startswith(initial)]
        groups[initial] = matches[0] if len(matches) == 1 else initial
    if NAMELESS in keys:
        named = set(groups.values())
        groups[NAMELESS] = named.pop() if len(named) == 1 else NAMELESS
    return groups


def resolve_subjects(shared: pd.DataFrame) -> pd.DataFrame:
    """Decide `person_id` for the subjects of addresses that have more than one.

    Columns in: contact_point_id, subject_id, given_key, has_ground, person_id, maker_id; one row per subject.
    Columns out: contact_point_id, subject_id, person_id (None: no person, a withdrawal nobody is known for).
    """
    at: dict[object, list[Subject]] = {}
    for contact_point_id, subject_id, given_key, has_ground, person_id, maker_id in zip(
        shared["contact_point_id"], *(shared[column] for column in _SUBJECT), strict=True
    ):
        subject = Subject(subject_id, str(given_key), bool(has_ground), _known(person_id), _known(maker_id))
        at.setdefault(contact_point_id, []).append(subject)
    decided = [(point, *pair) for point, subjects in at.items() for pair in resolve_address(subjects).items()]
    return pd.DataFrame(decided, columns=["contact_point_id", "subject_id", "person_id"], dtype=object)


def resolve_address(subjects: Sequence[Subject]) -> dict[UUID, UUID | None]:
    """The person of each subject at one address; a person's id is kept as long as anyone there can bear it.

    Only subjects with ground (a grant, a registration, an enquiry) make persons; others join one or stay nobody.
    """
    groups = group_names(s.given_key for s in subjects if s.has_ground)
    persons: dict[str, UUID] = {}
    for name in sorted(set(groups.values()), key=lambda key: (len(key) <= 1, key)):
        members = [s for s in subjects if s.has_ground and groups[s.given_key] == name]
        own = next((s.person_id for s in members if s.given_key == name and s.person_id), None)
        if own is not None and own not in persons.values():
            persons[name] = own
    for name in sorted(set(groups.values()) - set(persons), key=lambda key: (-len(key), key)):
        members = [s for s in subjects if s.has_ground and groups[s.given_key] == name]
        persons[name] = _new_person(name, members, subjects, set(persons.values()))
    return {s.subject_id: persons.get(_joins(s, groups)) for s in subjects}


def _joins(subject: Subject, groups: dict[str, str]) -> str:
    if subject.given_key in groups:
        return groups[subject.given_key]
    joined = group_names([*groups, subject.given_key])[subject.given_key]
    return joined if joined in set(groups.values()) else subject.given_key


def _new_person(name: str, members: Sequence[Subject], everyone: Sequence[Subject], taken: set[UUID]) -> UUID:
    """One that a weaker name at the address bore alone so far, else a new one by its first submission."""
    bears_weaker = [s.person_id for s in everyone if len(s.given_key) <= 1 and name.startswith(s.given_key)]
    makers = sorted(s.maker_id for s in members if s.maker_id is not None)
    candidates = [c for c in (*bears_weaker, *makers, *(s.person_id for s in members)) if c is not None]
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    return _apart(candidates[0], taken)


def _apart(person_id: UUID, taken: set[UUID]) -> UUID:
    """A new id beside one that is taken, the same on every replay."""
    apart = uuid5(person_id, "apart")
    return _apart(apart, taken) if apart in taken else apart


def _known(value: object) -> UUID | None:
    return value if isinstance(value, UUID) else None
