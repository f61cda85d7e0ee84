"""Adoption: contacts and consent rows that the CRM had by itself are found, matched and kept before anything is made.

Every plan looks its addresses up first, so that a contact that staff made between two runs is found too; `crm adopt`
does the same once over the whole CRM. Opt-outs found this way are events of the ledger before the first write.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection

from connectors.dataverse import TableName
from connectors.store import adoption as store
from connectors.store import crm_rows
from connectors.store.adoption import Address, Doubtful, FoundRow
from connectors.store.planning import take_up_listed
from pipelines.operations.crm_merging import record_decisions
from pipelines.operations.delivery import table_name
from pipelines.operations.sessions import Session
from pipelines.transforms.adopted_rows import (
    CONSENT_COLUMNS,
    CrmConsent,
    OptIn,
    consent_columns,
    contact_columns,
    opt_ins_without_evidence,
    read_consents,
)
from pipelines.transforms.adoption import (
    ADDRESSES,
    Candidate,
    CrmContact,
    Match,
    canonical_keys,
    collation_fold,
    contact_columns_of,
    match_address,
    read_contacts,
)
from pipelines.transforms.crm_changes import Told, each_once
from pipelines.transforms.crm_consents import purposes_of, read_consent
from pipelines.transforms.crm_contacts import Addresses, read_contact
from pipelines.transforms.names import name_key
from schemas.tables import CONSENT, CONTACT

# From so many addresses on, reading the tables whole takes fewer requests than looking the addresses up.
WHOLE_TABLE_FROM = 5_000

CONTACTS, CONSENTS = table_name(CONTACT.logical_name), table_name(CONSENT.logical_name)
EMAIL, VALUE = "emailaddress1", "msdynmkt_contactpointvalue"


class SearchableCrm(Protocol):
    """What adoption needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: Sequence[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...

    def find_rows(
        self, table: TableName, column: str, values: Sequence[str], select: Sequence[str]
    ) -> Iterator[dict[str, Any]]: ...


@dataclass(frozen=True)
class Found:
    """What the CRM holds: contacts, and consent rows of our purposes."""

    contacts: Sequence[CrmContact]
    consents: Sequence[CrmConsent]


@dataclass
class Adoption:
    """What adoption did. `opt_outs` are decisions that went to the ledger; `in_review` counts contacts by doubt;
    `without_evidence` counts opt-ins by table that are left as they are (read, counted, and lowered if withdrawn).
    """

    contacts: int = 0
    consents: int = 0
    unaddressed: int = 0
    duplicate_consents: int = 0
    opt_outs: int = 0
    linked: int = 0
    in_review: Counter[str] = field(default_factory=Counter)
    without_evidence: Counter[str] = field(default_factory=Counter)


def look_up(session: Session, crm: SearchableCrm, *, among: Sequence[UUID] | None = None) -> Adoption:
    """Look the addresses that are to be planned (of some) up in the CRM, and keep what it has of them."""
    allowed = session.workspace.policy.crm.allow_list
    with session.transaction() as conn:
        if among is None:
            take_up_listed(conn, allowed)
        wanted = store.addresses(conn, now=session.now, allowed=allowed, among=among)
    if not wanted:
        return Adoption()
    keys = {address.key for address in wanted}
    found = read_whole_crm(session, crm) if len(wanted) >= WHOLE_TABLE_FROM else _find(session, crm, wanted)
    near = Found(_near(found.contacts, keys), [c for c in found.consents if c.key in keys])
    outcome = _record_opt_outs(session, near, keys)
    _keep(session, _taken_for_ours(crm, near, keys), wanted, outcome)
    return outcome


def adopt_all(session: Session, crm: SearchableCrm) -> Adoption:
    """Adopt over the whole CRM: opt-outs of every address there, contacts and consent rows of the addresses of ours."""
    found = read_whole_crm(session, crm)
    borne = {key for contact in found.contacts for key in contact.keys}
    outcome = _record_opt_outs(session, found, borne | {consent.key for consent in found.consents})
    with session.transaction() as conn:
        addresses = store.addresses(conn, now=session.now, every=True)
    keys = {address.key for address in addresses}
    near = Found(_near(found.contacts, keys), [c for c in found.consents if c.key in keys])
    _keep(session, _taken_for_ours(crm, near, keys), addresses, outcome)
    with session.transaction() as conn:
        left = opt_ins_left(session, conn, found)
    outcome.without_evidence.update(Counter(opt_in.table for opt_in in left))
    return outcome


def opt_ins_left(session: Session, conn: Connection, found: Found) -> list[OptIn]:
    """Opt-ins in the CRM that the ledger knows nothing of."""
    return opt_ins_without_evidence(found.contacts, found.consents, store.evidenced(conn, now=session.now))


def read_whole_crm(session: Session, crm: SearchableCrm) -> Found:
    """Every contact, and every consent row of our purposes."""
    contacts = read_contacts(crm.iter_rows(CONTACTS, contact_columns_of(session.workspace.policy)))
    consents = read_consents(crm.iter_rows(CONSENTS, list(CONSENT_COLUMNS)), session.workspace.policy)
    return Found(contacts, consents)


def _find(session: Session, crm: SearchableCrm, wanted: Sequence[Address]) -> Found:
    """Each address is asked for as it is written and as it is compared: a domain has two scripts."""
    spellings = sorted({spelling for address in wanted for spelling in (address.address, address.key)})
    select = contact_columns_of(session.workspace.policy)
    borne = (crm.find_rows(CONTACTS, column, spellings, select) for column in ADDRESSES)
    contacts = read_contacts(_distinct((row for rows in borne for row in rows), "contactid"))
    rows = crm.find_rows(CONSENTS, VALUE, spellings, list(CONSENT_COLUMNS))
    consents = read_consents(_distinct(rows, CONSENTS.primary_key), session.workspace.policy)
    return Found(contacts, consents)


def _distinct(rows: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return list({row[key]: row for row in rows}.values())


def _near(contacts: Sequence[CrmContact], keys: set[str]) -> list[CrmContact]:
    folds = {collation_fold(key) for key in keys}
    return [c for c in contacts if c.others & keys or (c.key is not None and collation_fold(c.key) in folds)]


def _taken_for_ours(crm: SearchableCrm, near: Found, keys: set[str]) -> Found:
    """Without the contacts whose address the CRM's own collation does not take for one of ours: it is asked."""
    other = {c.row_id: collation_fold(str(c.key)) for c in near.contacts if not c.keys & keys}
    asked = sorted(key for key in keys if collation_fold(key) in other.values()) if other else []
    equal = {UUID(str(row["contactid"])) for row in crm.find_rows(CONTACTS, EMAIL, asked, [])} if asked else set()
    return Found([c for c in near.contacts if c.row_id not in other or c.row_id in equal], near.consents)


def _record_opt_outs(session: Session, found: Found, keys: set[str]) -> Adoption:
    """Bring the opt-outs that the CRM holds of these addresses into the ledger, which then has the addresses."""
    outcome = Adoption(len(found.contacts), len(found.consents))
    outcome.unaddressed = sum(contact.key is None for contact in found.contacts)
    counted = Counter((c.key, c.purpose, c.topic) for c in found.consents)
    outcome.duplicate_consents = sum(n - 1 for n in counted.values())
    with session.transaction() as conn:
        fresh = _unknown(conn, found)
    told = Told()
    rows = [contact.row for contact in fresh.contacts if contact.keys & keys]
    addresses = Addresses(canonical_keys(rows))
    for row in rows:
        read_contact(row, None, told, addresses)
    purposes = purposes_of(session.workspace.policy)
    for consent in fresh.consents:
        read_consent(consent.row, None, told, purposes, since=None)
    record_decisions(session, told.decisions)
    with session.transaction() as conn:
        crm_rows.note_rows(conn, each_once(told.noted))
    outcome.opt_outs = len(told.decisions)
    return outcome


def _unknown(conn: Connection, found: Found) -> Found:
    """What we neither wrote nor knew of: the rest is the read-back's."""
    contact_ids = [contact.row_id for contact in found.contacts]
    known = store.known_ids(conn, [*contact_ids, *(consent.row_id for consent in found.consents)])
    taken = store.taken_contacts(conn, contact_ids)
    return Found(
        [c for c in found.contacts if c.row_id not in known and c.row_id not in taken],
        [c for c in found.consents if c.row_id not in known],
    )


def _keep(session: Session, found: Found, addresses: Sequence[Address], outcome: Adoption) -> None:
    """Match, and keep links, doubts and rows of these addresses."""
    ids = [address.contact_point_id for address in addresses]
    known = {address.key: address.contact_point_id for address in addresses}
    with session.transaction() as conn:
        taken = store.taken_contacts(conn, [contact.row_id for contact in found.contacts])
        free = [c for c in found.contacts if c.row_id not in taken and c.master_id not in taken]
        matches = _matches(session, conn, free, addresses)
        links = {person: row_id for match in matches.values() for person, row_id in match.links.items()}
        doubtful = [Doubtful(r.row_id, key, r.persons, str(r.doubt)) for key, m in matches.items() for r in m.reviews]
        store.save_rows(conn, [*_contact_rows(free, known, set(links.values())), *_consent_rows(conn, found, known)])
        store.save_links(conn, links, at=session.now)
        store.save_reviews(conn, ids, doubtful, at=session.now)
    outcome.linked = len(links)
    outcome.in_review.update(doubt.reason for doubt in doubtful)


def _matches(
    session: Session, conn: Connection, free: Sequence[CrmContact], addresses: Sequence[Address]
) -> dict[UUID, Match]:
    ids = [address.contact_point_id for address in addresses]
    persons = store.persons_without_contact(conn, ids, now=session.now)
    decided = store.ruled_out(conn, ids)
    by_fold: dict[str, list[CrmContact]] = {}
    for contact in free:
        for fold in {collation_fold(key) for key in contact.keys}:
            by_fold.setdefault(fold, []).append(contact)
    matches = {}
    for address in addresses:
        fold = collation_fold(address.key)
        at, near = persons.get(address.contact_point_id), by_fold.get(fold)
        if at and near:
            candidates = [Candidate(p.person_id, name_key(p.given_name, p.family_name)) for p in at]
            against = decided.get(address.contact_point_id, frozenset())
            borne = [c for c in near if address.key in c.keys or (c.key and collation_fold(c.key) == fold)]
            matches[address.contact_point_id] = match_address(address.key, borne, candidates, ruled_out=against)
    return matches


def _contact_rows(contacts: Sequence[CrmContact], known: Mapping[str, UUID], linked: set[UUID]) -> list[FoundRow]:
    return [
        FoundRow(CONTACT.logical_name, c.row_id, known[c.key], contact_columns(c, is_linked=c.row_id in linked))
        for c in contacts
        if c.key is not None and c.key in known
    ]


def _consent_rows(conn: Connection, found: Found, known: Mapping[str, UUID]) -> list[FoundRow]:
    ours = store.our_ids(conn, [consent.row_id for consent in found.consents])
    return [
        FoundRow(CONSENT.logical_name, c.row_id, known[c.key], consent_columns(c))
        for c in found.consents
        if c.key in known and c.row_id not in ours
    ]
