"""Reviews: contacts of the CRM that may be a person's of ours, and what somebody decides about each, by name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import TableName
from connectors.store import adoption, reviews
from connectors.store.adoption import FoundRow
from connectors.store.reviews import Ruling
from pipelines.operations.adoption import CONTACTS
from pipelines.operations.sessions import Session
from pipelines.transforms.adopted_rows import contact_columns
from pipelines.transforms.adoption import CrmContact, contact_columns_of, read_contacts
from schemas.errors import ConfigurationError
from schemas.tables import CONTACT


class ReadableCrm(Protocol):
    """What a decision needs of the CRM's client."""

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...


def list_reviews(session: Session, *, every: bool = False) -> list[dict[str, Any]]:
    """Contacts in doubt, oldest first: row id, doubt, the persons it may be. No name and no address."""
    with session.transaction() as conn:
        return reviews.reviews(conn, every=every)


def decide_link(session: Session, crm: ReadableCrm, review_id: int, *, person: UUID, by: str) -> None:
    """The contact is that person's: it is adopted, and what else was in doubt about the person is settled."""
    review = _undecided(session, review_id)
    if person not in review["persons"]:
        raise ConfigurationError(f"Review {review_id} is not about person {person}. See `crm-intake crm review list`.")
    contact = _read(session, crm, review["row_id"])
    row = FoundRow(
        CONTACT.logical_name, contact.row_id, review["contact_point_id"], contact_columns(contact, is_linked=True)
    )
    with session.transaction() as conn:
        if adoption.taken_contacts(conn, [contact.row_id]):
            raise ConfigurationError(f"The contact of review {review_id} is another person's by now; nothing is done.")
        adoption.save_rows(conn, [row])
        adoption.save_links(conn, {person: contact.row_id}, at=session.now)
        reviews.rule(conn, review_id, _ruling("linked", by, session.now))
        reviews.settle_person(conn, person)
        adoption.bump(conn, [review["contact_point_id"]])


def decide_new(session: Session, review_id: int, *, by: str) -> None:
    """The contact is none of theirs: a person in no other doubt gets a contact of their own."""
    _decide(session, review_id, _ruling("new", by, session.now))


def decide_ignore(session: Session, review_id: int, *, by: str) -> None:
    """Leave it: the persons stay without a contact of ours; what lowers still goes to all contacts of the address."""
    _decide(session, review_id, _ruling("ignored", by, session.now))


def _decide(session: Session, review_id: int, ruling: Ruling) -> None:
    review = _undecided(session, review_id)
    with session.transaction() as conn:
        reviews.rule(conn, review_id, ruling)
        adoption.bump(conn, [review["contact_point_id"]])


def _undecided(session: Session, review_id: int) -> dict[str, Any]:
    with session.transaction() as conn:
        review = reviews.review(conn, review_id)
    if review is None or review["state"] not in ("open", "ignored"):
        raise ConfigurationError(f"Review {review_id} is not waiting for a decision. See `crm-intake crm review list`.")
    return review


def _ruling(state: str, by: str, at: datetime) -> Ruling:
    if not by.strip():
        raise ConfigurationError("A decision is by a named person: add --by NAME.")
    return Ruling(state, by, at)


def _read(session: Session, crm: ReadableCrm, row_id: UUID) -> CrmContact:
    found = crm.fetch_rows(CONTACTS, [str(row_id)], contact_columns_of(session.workspace.policy))
    if not found:
        raise ConfigurationError("The CRM has that contact no more; decide --new or --ignore.")
    return read_contacts(found.values())[0]
