"""Views: rows of the store as the pure rules take them."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from connectors.store.planning import AddressRows, is_cut_over, iter_addresses
from pipelines.transforms.minimise import AddressView, AdoptedRow, PersonView, RegistrationView, RowKey
from schemas.policy import Policy

Acknowledged = Mapping[RowKey, Mapping[str, Any]]


def iter_views(
    conn: Connection, policy: Policy, *, now: datetime, every: bool = False
) -> Iterator[tuple[AddressView, Acknowledged]]:
    """Each dirty address (or every one) with what the CRM last acknowledged of it, in the order of ids."""
    lives = {str(purpose.begins): timedelta(days=purpose.lives_after_days or 0) for purpose in policy.purposes.values()}
    cut_over = is_cut_over(conn)
    for rows in iter_addresses(conn, now=now, every=every, allowed=policy.crm.allow_list):
        for address in rows.addresses:
            yield _view(address, rows, lives, cut_over=cut_over), _acknowledged(rows, address["contact_point_id"])


def _view(address: RowMapping, rows: AddressRows, lives: Mapping[str, timedelta], *, cut_over: bool) -> AddressView:
    key: UUID = address["contact_point_id"]
    return AddressView(
        contact_point_id=key,
        address=address["address"],
        version=address["version"],
        persons=tuple(
            PersonView(
                row["contact_id"],
                row["given_name"],
                row["family_name"],
                row["phone"],
                dict(zip(row["purposes"], row["ends"], strict=True)),
            )
            for row in rows.persons.get(key, ())
        ),
        consents={(row["purpose"], row["topic"]): row["state"] for row in rows.consents.get(key, ())},
        registrations=tuple(
            RegistrationView(
                row["registration_id"],
                row["contact_id"],
                row["occasion_pk"],
                row["status"],
                row["registered_at"],
                row["occasion_ended_at"] + lives.get(row["kind"], timedelta()),
            )
            for row in rows.registrations.get(key, ())
        ),
        adopted={
            (row["table_name"], row["row_id"]): AdoptedRow(row["columns"], row["written"])
            for row in rows.acknowledged.get(key, ())
            if not row["is_ours"]
        },
        owned=frozenset((row["table_name"], row["row_id"]) for row in rows.acknowledged.get(key, ()) if row["is_ours"]),
        is_in_review=any(row["is_in_review"] for row in rows.persons.get(key, ())),
        is_cut_over=cut_over,
    )


def _acknowledged(rows: AddressRows, key: UUID) -> Acknowledged:
    return {(row["table_name"], row["row_id"]): row["columns"] for row in rows.acknowledged.get(key, ())}
