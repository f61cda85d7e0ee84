"""Erasure (GDPR Art. 17): one person goes from the store, the landing and the CRM, and does not come back by an import.

In this order: tombstones into the journal outside the database, then store and tombstones in one transaction, then the
landing, then the CRM. A run that dies in between is finished by the next `privacy erase` or by the nightly asset; until
then no merge brings anything back. What stays is told, with the reason.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection

from connectors.erasure_journal import JournalEntry
from connectors.store import erasure as store
from connectors.store.crm_links import address_of
from connectors.store.data_requests import answer_requests, is_restricted, nobodys_requests
from connectors.store.erasure import CrmTarget, Found, Scope
from connectors.store.merge import refresh_addresses
from connectors.store.retention import is_held
from connectors.store.tombstones import KEY_NAME, add_tombstones, hold_off_merges
from pipelines.operations.adoption import SearchableCrm
from pipelines.operations.delivery import table_name
from pipelines.operations.erasure_landing import erase_landed, is_landed
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session
from pipelines.operations.sync import LOCK_WAIT_S, NARROW_LOCK, GuardedCrm, as_writer
from pipelines.operations.undo import refresh_request
from pipelines.transforms.crm_changes import row_id_of
from pipelines.transforms.crm_contacts import ADDRESSES
from pipelines.transforms.emails import canonical_address
from pipelines.transforms.identity import resolve_subjects
from schemas.errors import ConfigurationError
from schemas.tables import CONSENT, CONTACT

_BEARING = (
    *((CONTACT.logical_name, column) for column in ADDRESSES),
    (CONSENT.logical_name, "msdynmkt_contactpointvalue"),
)
KEPT = {
    "ledger": "Bare events of the consent ledger (random ids, purposes, times) stay, to prove that it is whole; the values"
    " and salts that tied them to the person are gone (GDPR 17(3)(e)).",
    "tombstones": "Keyed hashes stay, so that no old export brings the person back (GDPR 17(1), 32).",
    "disclosures": "To whom something was disclosed stays, by reference, until they have been told of the erasure (GDPR"
    " 19): `privacy disclosures`.",
    "accounting": "Vouchers and books in the finance schema stay for the years that accounting law asks for (Finnish"
    " Accounting Act 1336/1997, 2:10; GDPR 17(3)(b)).",
    "backups": "Backups of the database hold the person until they expire; a restored one is brought up to date by the"
    " journal of erasures before anything runs (`privacy replay`).",
}

ADDRESSES_BEFORE = (
    "An address that the person had before stays, for somebody else is known there or has it in the CRM. What the person said"
    " there is gone, but for the bare events; as long as nobody agrees to them anew, no newsletters go there."
)


@dataclass
class ErasureReport:
    """What one erasure did. `counts`: rows by table; `landed`: rows taken out of batches; `unsearchable`: stopped batches
    that cannot be understood, so not searched by person: tombstones apply when they are replayed."""

    erasure_id: UUID
    erased_at: datetime
    counts: dict[str, int] = field(default_factory=dict)
    tombstones: int = 0
    landed: int = 0
    unsearchable: list[UUID] = field(default_factory=list)
    crm_rows: int = 0
    kept: dict[str, str] = field(default_factory=lambda: dict(KEPT))


UNKNOWN = "Nobody is known by that address or id; nothing of theirs is held."


def find_person(
    conn: Connection,
    *,
    address: str | None = None,
    person: str | None = None,
    everyone: bool = False,
    may_be_unknown: bool = False,
) -> Scope:
    """Who is meant: everybody at an address with one person, or one person by id.

    ConfigurationError where nobody is known by it, or where several people share the address and `everyone` was not
    said; it names their ids, never the address. With `may_be_unknown` an address that the store does not have is looked
    for elsewhere by the caller.
    """
    if address is not None:
        key = canonical_address(address).key
        if key is None:
            raise ConfigurationError("The text on standard input is not an e-mail address. Give one, and nothing else.")
        scope: Scope | None = store.persons_at(conn, key)
    else:
        scope = store.person_of(conn, _id(person))
    if scope is None or not (scope.is_known or may_be_unknown):
        raise ConfigurationError(UNKNOWN)
    if address is not None and len(scope.person_ids) > 1 and not everyone:
        ids = ", ".join(map(str, scope.person_ids))
        raise ConfigurationError(
            f"{len(scope.person_ids)} people share that address ({ids}). Give the id of the one who is meant (see"
            " `crm-intake explain`), or --everyone."
        )
    return scope


@dataclass(frozen=True)
class Asked:
    """Who is to be erased (an id, or an address), by whose word; `everyone` at a shared address."""

    by: str
    address: str | None = None
    person: str | None = None
    everyone: bool = False


def erase_person(session: Session, asked: Asked, *, crm: SearchableCrm | None) -> ErasureReport:
    """Erase from the store and the landing; what the CRM holds is written down, to be let go by `finish_in_crm`.

    Without the CRM's client, rows there that the store does not know of are not sought, and the report says so. To be
    called alone (see `alone`); a narrow synchronisation ends first, for what it has on its way is a row to be let go.
    Raises ConfigurationError where nobody, or not one person, is meant.
    """
    with session.holding(NARROW_LOCK, wait_s=LOCK_WAIT_S), session.under_retention() as retention:
        with retention.transaction() as conn:
            hold_off_merges(conn)
            scope = find_person(
                conn, address=asked.address, person=asked.person, everyone=asked.everyone, may_be_unknown=True
            )
            _require_not_held(session, conn, scope)
            _require_unrestricted(conn, scope)
            found = store.find(conn, scope)
            before, others = store.addresses_before(conn, scope)
            everywhere = [found, *(store.find(conn, one) for one in before)]
            for one in everywhere:
                one.crm_rows += sought(conn, one, crm)
            _require_known(session, found)
            for one in everywhere:
                answer_requests(conn, one.scope, ["erasure"], by=asked.by, at=session.now, outcome="erased")
            open_still = nobodys_requests(conn, scope, ["erasure"])
            key = session.workspace.keys.current(KEY_NAME)
            stones = [stone for one in everywhere for stone in store.tombstones_of(one, key, erased_at=session.now)]
            entry = session.workspace.journal.append(uuid4(), session.now, stones)
            report = ErasureReport(entry.erasure_id, session.now, crm_rows=sum(len(one.crm_rows) for one in everywhere))
            store.record_erasure(conn, entry.erasure_id, by=asked.by, at=session.now, entry_hash=entry.entry_hash)
            if open_still:
                report.kept["requests of the address"] = open_still
            if crm is None:
                report.kept["others' contacts"] = "The CRM was not searched for further contacts with the address."
            if others:
                report.kept["addresses before"] = ADDRESSES_BEFORE
            report.tombstones = add_tombstones(conn, stones, erasure_id=entry.erasure_id)
            for one in everywhere:
                store.find(conn, one.scope)
                _erase_found(retention, conn, one, report)
        _erase_landed(retention, everywhere, report)
    return report


def _require_not_held(session: Session, conn: Connection, scope: Scope) -> None:
    if is_held(conn, [*scope.person_ids, *scope.leftovers], today=session.now.date()):
        raise ConfigurationError(
            "A legal hold keeps this person's data (GDPR 17(3)(e)). See `crm-intake privacy holds`; release it first."
        )


def _require_unrestricted(conn: Connection, scope: Scope) -> None:
    """Who is restricted needs the data, or contests what is done with it (GDPR 18(1)): nothing goes before that ends."""
    if is_restricted(conn, scope):
        raise ConfigurationError(
            "This person's data is restricted (GDPR 18), so nothing of it is deleted. If the person wants it erased all the"
            " same, lift the restriction first: `crm-intake privacy restrict PERSON --lift --by NAME`."
        )


def _require_known(session: Session, found: Found) -> None:
    """Of whom the store does not know, something may wait for a link, or lie in the landing or in the CRM."""
    if not (found.scope.is_known or found.submissions or found.crm_rows or is_landed(session, found)):
        raise ConfigurationError(UNKNOWN)


def erase_again(
    session: Session, entry: JournalEntry, find_scopes: Callable[[Connection], Sequence[Scope]]
) -> tuple[ErasureReport, Sequence[Scope]]:
    """An erasure of the journal, done again in a database that does not know it: of whom `find_scopes` finds.

    The landing comes first: the store tells that the erasure was done, and a replay that was killed begins it again.
    """
    report = ErasureReport(entry.erasure_id, entry.erased_at)
    with session.transaction() as conn:
        hold_off_merges(conn)
        landed = [store.find(conn, scope) for scope in find_scopes(conn)]
    _erase_landed(session, landed, report)
    with session.transaction() as conn:
        hold_off_merges(conn)
        scopes = find_scopes(conn)
        store.record_erasure(conn, entry.erasure_id, by="journal", at=entry.erased_at, entry_hash=entry.entry_hash)
        add_tombstones(conn, entry.tombstones, erasure_id=entry.erasure_id)
        report.tombstones = len(entry.tombstones)
        for scope in scopes:
            found = store.find(conn, scope)
            report.crm_rows += len(found.crm_rows)
            _erase_found(session, conn, found, report)
    return report, scopes


def sought(conn: Connection, found: Found, crm: SearchableCrm | None) -> list[CrmTarget]:
    """Rows of the CRM that bear the address and are not known here: staff made them, or a backup has lost them."""
    if crm is None or not found.scope.is_whole:
        return []
    written = {found.scope.address_key}
    if found.scope.is_known:
        written.add(address_of(conn, found.scope.contact_point_id))
    known = {(row.table_name, row.row_id) for row in found.crm_rows}
    bearing: dict[tuple[str, UUID], CrmTarget] = {}
    for table, column in _BEARING:
        for row in crm.find_rows(table_name(table), column, sorted(written), [column]):
            key = table, row_id_of(table, row)
            if key not in known and canonical_address(str(row[column])).key == found.scope.address_key:
                bearing[key] = CrmTarget(*key, is_ours=False, written={})
    return list(bearing.values())


def _erase_found(session: Session, conn: Connection, found: Found, report: ErasureReport) -> None:
    key = session.workspace.keys.current(KEY_NAME)
    store.keep_crm_rows(conn, report.erasure_id, found.crm_rows, key=key)
    store.erase(conn, found, now=session.now)
    if not found.scope.is_whole:
        refresh_addresses(conn, refresh_request(session), [found.scope.contact_point_id], resolve=resolve_subjects)
    for table, rows in found.counts.items():
        report.counts[table] = report.counts.get(table, 0) + rows


def _erase_landed(session: Session, found: Sequence[Found], report: ErasureReport) -> None:
    searched = erase_landed(session, found)
    report.landed += searched.rows
    report.unsearchable = searched.unsearchable
    if searched.unsearchable:
        report.kept["unsearchable batches"] = (
            f"{len(searched.unsearchable)} stopped batches cannot be understood, so not searched by person; tombstones"
            " apply when they are replayed, and they go with the landing's retention."
        )


@contextmanager
def alone(session: Session, crm: GuardedCrm | None = None) -> Iterator[None]:
    """Neither a merge nor a run's write to the CRM comes in between; whoever is overtaken gets LockLost before the next
    request of `crm`, and before the next commit.
    """
    with ExitStack() as stack:
        stack.enter_context(as_writer(session, crm))
        stack.enter_context(as_merger(session))
        yield


def _id(person: str | None) -> UUID:
    try:
        return UUID(person or "")
    except ValueError:
        raise ConfigurationError(
            "PERSON is an id (a GUID). For an address, give `-` and the address on standard input."
        ) from None
