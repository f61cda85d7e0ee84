"""Whose rows a transaction is about: the only ones of people that the role of the preference page is shown.

That role sees, changes and adds rows of contact points, subjects, persons, submissions, registrations, mailed links and requests
only of the contact points named here, or under the addresses named (row-level security, made by the migrations). So a
statement that forgets whose page it serves finds nobody. Other roles are shown every row, whoever is named.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text

_NAME = text("select set_config(:setting, cast(cast(:named as text[]) as text), true)")


def name_contact_points(conn: Connection, contact_point_ids: Iterable[UUID]) -> None:
    """From now on the transaction is about these contact points, and about none named before."""
    conn.execute(_NAME, {"setting": "intake.contact_points", "named": [str(each) for each in contact_point_ids]})


def name_addresses(conn: Connection, address_keys: Iterable[str]) -> None:
    """From now on the transaction is about whatever contact points have these canonical addresses, and may add them."""
    conn.execute(_NAME, {"setting": "intake.address_keys", "named": list(address_keys)})
