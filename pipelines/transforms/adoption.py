"""Adoption: which contacts that the CRM has by itself are which of our persons. Pure.

Matched by canonical address and compatible names, one to one; whatever is not is for a person to decide. A contact is
in doubt where several contacts or several persons may be meant, where it is inactive or merged away, where only the
CRM's collation takes its address for ours, where ours is its second or third address only, and where it bears another
given name than the person with the address.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

import pandas as pd

from pipelines.transforms.crm_changes import LINK
from pipelines.transforms.emails import normalise_emails
from pipelines.transforms.identity import NAMELESS, group_names
from pipelines.transforms.names import NameKey, name_key
from schemas.policy import Policy

CONTACT_COLUMNS = (
    "contactid",
    "firstname",
    "lastname",
    "emailaddress1",
    "emailaddress2",
    "emailaddress3",
    "mobilephone",
    "donotbulkemail",
    "donotemail",
    "followemail",
    "statecode",
    "_masterid_value",
    "modifiedon",
)
ADDRESSES = ("emailaddress1", "emailaddress2", "emailaddress3")
ACTIVE = 0


def contact_columns_of(policy: Policy) -> list[str]:
    """What is read of a contact: the columns, and the link where the policy names its column."""
    return [*CONTACT_COLUMNS, *([LINK] if policy.crm.preference_link_column is not None else [])]


class Doubt(StrEnum):
    """Why a contact of the CRM is not adopted without a person's decision."""

    SEVERAL_CONTACTS = "several_contacts"
    SEVERAL_PERSONS = "several_persons"
    OTHER_NAME = "other_name"
    INACTIVE = "inactive"
    COLLATION = "collation"
    OTHER_ADDRESS = "other_address"


@dataclass(frozen=True, slots=True)
class CrmContact:
    """A contact as the CRM has it: `key` is its canonical address (None: none, or unreadable), `others` those of its
    second and third address, `row` what was read."""

    row_id: UUID
    key: str | None
    name: NameKey
    is_active: bool
    master_id: UUID | None
    row: Mapping[str, Any] = field(repr=False)
    others: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        """Every canonical address that it bears."""
        return self.others if self.key is None else self.others | {self.key}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person of ours who has no contact in the CRM yet."""

    person_id: UUID
    name: NameKey


@dataclass(frozen=True, slots=True)
class Review:
    """A contact in doubt, and the persons of ours that it may be."""

    row_id: UUID
    persons: tuple[UUID, ...]
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Match:
    """What became of one address: contacts by person, and what is in doubt."""

    links: dict[UUID, UUID] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()


def read_contacts(rows: Iterable[Mapping[str, Any]]) -> list[CrmContact]:
    """Contacts with their canonical addresses, in the order read."""
    read = list(rows)
    keys = canonical_keys(read)
    return [_contact(row, keys) for row in read]


def canonical_keys(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The canonical key of every address in these contacts, by the address as written."""
    written = {str(row[name]) for row in rows for name in ADDRESSES if row.get(name)}
    texts = pd.Series(sorted(written), dtype="str")
    keys = normalise_emails(texts)["key"]
    return {text: key for text, key in zip(texts, keys, strict=True) if not pd.isna(key)}


def _contact(row: Mapping[str, Any], keys: Mapping[str, str]) -> CrmContact:
    master = row.get("_masterid_value")
    key, *others = (keys.get(str(row.get(name))) for name in ADDRESSES)
    return CrmContact(
        row_id=UUID(str(row["contactid"])),
        key=key,
        name=name_key(row.get("firstname"), row.get("lastname")),
        is_active=row.get("statecode", ACTIVE) == ACTIVE,
        master_id=UUID(str(master)) if master else None,
        row=row,
        others=frozenset(other for other in others if other is not None and other != key),
    )


def collation_fold(key: str) -> str:
    """An address as the loosest collation compares it: without case, accents, width and trailing blanks."""
    composed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", key).casefold())
    return "".join(letter for letter in composed if not unicodedata.combining(letter)).rstrip()


def is_compatible(one: NameKey, other: NameKey) -> bool:
    """Whether two names may be one person's: by given name, as identity has it; without one the family name decides."""
    if NAMELESS in (one.given, other.given):
        return not one.family or not other.family or one.family == other.family
    groups = group_names([one.given, other.given])
    return groups[one.given] == groups[other.given]


def match_address(
    key: str, contacts: Sequence[CrmContact], persons: Sequence[Candidate], *, ruled_out: frozenset[tuple[UUID, UUID]]
) -> Match:
    """Match the contacts found for an address with its persons that have none.

    `contacts` are those that nobody of ours has yet; `ruled_out` are pairs (row id, person id) that a person decided
    against. A contact merged into one of the others is that other one, and no candidate.
    """
    standing = _standing(contacts)
    edges = {
        contact.row_id: [p.person_id for p in persons if _may_be(contact, p, ruled_out)]
        for contact in standing
        if contact.key == key
    }
    links, reviews = _one_to_one(edges, {contact.row_id: contact for contact in standing})
    settled = {*links, *(person for review in reviews for person in review.persons)}
    left = [p for p in persons if p.person_id not in settled]
    reviews += _doubtful(key, standing, left, edges=edges, ruled_out=ruled_out)
    return Match(links, tuple(reviews))


def _standing(contacts: Sequence[CrmContact]) -> list[CrmContact]:
    ids = {contact.row_id for contact in contacts}
    return sorted((c for c in contacts if c.master_id not in ids), key=lambda contact: contact.row_id.int)


def _may_be(contact: CrmContact, person: Candidate, ruled_out: frozenset[tuple[UUID, UUID]]) -> bool:
    return (contact.row_id, person.person_id) not in ruled_out and is_compatible(contact.name, person.name)


def _one_to_one(
    edges: Mapping[UUID, Sequence[UUID]], contacts: Mapping[UUID, CrmContact]
) -> tuple[dict[UUID, UUID], list[Review]]:
    """Links where a contact and a person are each other's only candidate; reviews of all other contacts with any."""
    rivals: dict[UUID, list[UUID]] = {}
    for row_id, persons in edges.items():
        for person in persons:
            rivals.setdefault(person, []).append(row_id)
    links: dict[UUID, UUID] = {}
    reviews: list[Review] = []
    for row_id, persons in edges.items():
        if not persons:
            continue
        if not contacts[row_id].is_active:
            reviews.append(Review(row_id, tuple(persons), Doubt.INACTIVE))
        elif len(persons) > 1:
            reviews.append(Review(row_id, tuple(persons), Doubt.SEVERAL_PERSONS))
        elif len(rivals[persons[0]]) > 1:
            reviews.append(Review(row_id, tuple(persons), Doubt.SEVERAL_CONTACTS))
        else:
            links[persons[0]] = row_id
    return links, reviews


def _doubtful(
    key: str,
    contacts: Sequence[CrmContact],
    persons: Sequence[Candidate],
    *,
    edges: Mapping[UUID, Sequence[UUID]],
    ruled_out: frozenset[tuple[UUID, UUID]],
) -> list[Review]:
    """Reviews for persons whom no contact fits: one with another given name, with an address that only collates, or with
    ours beside its main one."""
    reviews = []
    for contact in contacts:
        if contact.key == key:
            held = [p for p in persons if (contact.row_id, p.person_id) not in ruled_out]
            is_in_doubt = not edges[contact.row_id] and contact.is_active
            doubt = Doubt.OTHER_NAME
        else:
            held = [p for p in persons if _may_be(contact, p, ruled_out)]
            is_beside = key in contact.others
            is_in_doubt, doubt = is_beside or contact.key is not None, Doubt.COLLATION
            doubt = Doubt.OTHER_ADDRESS if is_beside else doubt
        if held and is_in_doubt:
            reviews.append(Review(contact.row_id, tuple(p.person_id for p in held), doubt))
    return reviews
