"""Views: rows of the store as the pure rules take them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from connectors.store.data_requests import restricted_among
from connectors.store.planning import AddressRows, is_cut_over, iter_addresses
from pipelines.operations.link_maker import LinkMaker
from pipelines.transforms.crm_changes import GONE, HANDED_OVER, MERGED, UNREGISTERED
from pipelines.transforms.minimise import AddressView, AdoptedRow, PersonView, RegistrationView, RowKey
from pipelines.transforms.ownership import held_columns, held_registration, is_gone
from schemas.policy import Policy
from schemas.tables import CONTACT, REGISTRATION

Acknowledged = Mapping[RowKey, Mapping[str, Any]]
Known = Mapping[RowKey, RowMapping]


def iter_views(
    conn: Connection,
    policy: Policy,
    *,
    now: datetime,
    every: bool = False,
    among: Sequence[UUID] | None = None,
    links: LinkMaker | None = None,
) -> Iterator[tuple[AddressView, Acknowledged]]:
    """Each dirty address (or every one, or every one `among` some) with what the CRM last acknowledged of it, by id.

    With `links` each person has the link that newsletters to them carry.
    """
    return chain.from_iterable(iter_view_chunks(conn, policy, now=now, every=every, among=among, links=links))


def iter_view_chunks(
    conn: Connection,
    policy: Policy,
    *,
    now: datetime,
    every: bool = False,
    among: Sequence[UUID] | None = None,
    links: LinkMaker | None = None,
) -> Iterator[Iterator[tuple[AddressView, Acknowledged]]]:
    """As `iter_views` by chunks of addresses; while one is gone through, nothing is asked of the connection."""
    lives = {str(purpose.begins): timedelta(days=purpose.lives_after_days or 0) for purpose in policy.purposes.values()}
    cut_over = is_cut_over(conn)
    allowed, showing = policy.crm.allow_list, showing_purposes(policy)
    for rows in iter_addresses(conn, now=now, showing=showing, every=every, allowed=allowed, among=among):
        restricted = restricted_among(conn, [address["contact_point_id"] for address in rows.addresses])
        marks = _Marks(lives, cut_over, restricted, links, now)
        yield (_marked(address, rows, marks, policy) for address in rows.addresses)


@dataclass(frozen=True, slots=True)
class _Marks:
    """What views are made with that is no row of an address."""

    lives: Mapping[str, timedelta]
    is_cut_over: bool
    restricted: Collection[UUID]
    links: LinkMaker | None
    now: datetime


def _marked(address: RowMapping, rows: AddressRows, marks: _Marks, policy: Policy) -> tuple[AddressView, Acknowledged]:
    view = _view(address, rows, marks.lives, policy, marks.now)
    acknowledged, column = _acknowledged(rows, view.contact_point_id), policy.crm.preference_link_column
    persons = view.persons
    if marks.links is not None and column is not None:
        persons = marks.links.linked(view, acknowledged, column)
    is_restricted = view.contact_point_id in marks.restricted
    return replace(view, persons=persons, is_cut_over=marks.is_cut_over, is_restricted=is_restricted), acknowledged


def showing_purposes(policy: Policy) -> list[str]:
    """The purposes that show a contact in the CRM."""
    return [name for name, purpose in policy.purposes.items() if purpose.contact_columns]


def _view(
    address: RowMapping, rows: AddressRows, lives: Mapping[str, timedelta], policy: Policy, now: datetime
) -> AddressView:
    key: UUID = address["contact_point_id"]
    known = {(row["table_name"], row["row_id"]): row for row in rows.acknowledged.get(key, ())}
    return AddressView(
        contact_point_id=key,
        address=address["address"],
        version=address["version"],
        is_held=address["is_held"],
        is_listed=address["is_listed"],
        persons=tuple(_person(row, rows.told.get(key, ()), known, policy) for row in rows.persons.get(key, ())),
        consents={(row["purpose"], row["topic"]): row["state"] for row in rows.consents.get(key, ())},
        registrations=tuple(
            _registration(row, known.get((REGISTRATION.logical_name, row["registration_id"])), lives, policy)
            for row in rows.registrations.get(key, ())
            if not _is_gone(row, known)
        ),
        others={
            name: {**row["columns"], **{mark: row["edits"][mark] for mark in (UNREGISTERED,) if mark in row["edits"]}}
            for name, row in known.items()
            if not _is_kept(row, rows, key) and MERGED not in row["edits"]
        },
        adopted={
            name: AdoptedRow(row["columns"], row["written"])
            for name, row in known.items()
            if not row["is_ours"] and not {MERGED, GONE} & row["edits"].keys()
        },
        owned=frozenset(name for name, row in known.items() if row["is_ours"] and GONE not in row["edits"]),
        **_put_away(known, rows.persons.get(key, ()), policy, now),
        is_in_review=any(row["is_in_review"] for row in rows.persons.get(key, ())),
    )


def _put_away(known: Known, persons: Iterable[RowMapping], policy: Policy, now: datetime) -> dict[str, Any]:
    """Contacts merged into another one, of whom no purpose shows one: those that we made under their person's own id,
    and those that the CRM had by itself, of which only the address tells whose they were."""
    showing = set(showing_purposes(policy))
    living = {
        row["person_id"]: row["is_merged"]
        for row in persons
        for purpose, ends_at in zip(row["purposes"], row["ends"], strict=True)
        if purpose in showing and (ends_at is None or ends_at > now)
    }
    put_away = {name: row for name, row in known.items() if name[0] == CONTACT.logical_name and MERGED in row["edits"]}
    ended = {name: row for name, row in put_away.items() if row["is_made"] and name[1] not in living}
    handed_over = {name: row for name, row in ended.items() if HANDED_OVER in row["edits"]}
    theirs = {name: row for name, row in put_away.items() if not row["is_made"] and not any(living.values())}
    return {
        "merged_away": frozenset(ended.keys() - handed_over.keys()),
        "left_behind": {
            name: AdoptedRow(row["columns"], row["written"]) for name, row in (theirs | handed_over).items()
        },
    }


def _person(row: RowMapping, told: Iterable[RowMapping], known: Known, policy: Policy) -> PersonView:
    purposes = dict(zip(row["purposes"], row["ends"], strict=True))
    plain = PersonView(
        row["contact_id"],
        row["given_name"],
        row["family_name"],
        row["phone"],
        purposes,
        is_elsewhere=row["is_elsewhere"],
    )
    contact = known.get((CONTACT.logical_name, row["contact_id"]))
    times = next((one for one in told if one["row_id"] == row["contact_id"]), None)
    if contact is None or times is None:
        return plain
    told_at = {
        "firstname": times["named_at"],
        "lastname": times["named_at"],
        "mobilephone": times["phoned_at"],
        "emailaddress1": times["told_at"],
    }
    held = held_columns(contact["columns"], contact["edits"], told_at, policy)
    return replace(plain, held=held, edited=frozenset(contact["edits"]))


def _registration(
    row: RowMapping, known: RowMapping | None, lives: Mapping[str, timedelta], policy: Policy
) -> RegistrationView:
    return RegistrationView(
        row["registration_id"],
        row["contact_id"],
        row["occasion_pk"],
        row["status"],
        row["registered_at"],
        row["occasion_ended_at"] + lives.get(row["kind"], timedelta()),
        held_registration(known["columns"], known["edits"], row["told_at"], policy) if known else {},
    )


def _is_gone(row: RowMapping, known: Known) -> bool:
    """Whether somebody deleted this registration in the CRM, and nothing was said of it since."""
    registration = known.get((REGISTRATION.logical_name, row["registration_id"]))
    return registration is not None and is_gone(registration["edits"], row["told_at"])


def _is_kept(row: RowMapping, rows: AddressRows, key: UUID) -> bool:
    """Whether a row is ours to keep in step: we made it, or a person's contact is it."""
    is_contact = row["table_name"] == CONTACT.logical_name
    return row["is_ours"] or (
        is_contact and any(one["contact_id"] == row["row_id"] for one in rows.persons.get(key, ()))
    )


def _acknowledged(rows: AddressRows, key: UUID) -> Acknowledged:
    """What the CRM has of the rows that are kept in step; a row that somebody deleted there is not among them."""
    return {
        (row["table_name"], row["row_id"]): row["columns"]
        for row in rows.acknowledged.get(key, ())
        if _is_kept(row, rows, key) and GONE not in row["edits"]
    }
