"""Explain: every source row, rule, consent event and write that put a person where they are, or did not."""

from typing import Any
from uuid import UUID

from connectors.store.inspection import find_addresses, read_history
from pipelines.operations.sessions import Session
from pipelines.transforms.emails import canonical_address
from schemas.errors import ConfigurationError


def explain(session: Session, *, address: str | None = None, person: str | None = None) -> dict[str, Any]:
    """The history of an address, or of the person with an id of ours or the CRM's; it shows the person's data.

    ConfigurationError where nobody is known by that; the address is never repeated in it.
    """
    key = None
    if address is not None:
        key = canonical_address(address).key
        if key is None:
            raise ConfigurationError("The text on standard input is not an e-mail address. Give one, and nothing else.")
    with session.transaction() as conn:
        found = find_addresses(conn, address_key=key, person_id=person_id_of(person))
        if not found:
            raise ConfigurationError("Nobody is known by that address or id; nothing of theirs is held.")
        session.note_read(conn, [row["contact_point_id"] for row in found])
        history = read_history(conn, [row["contact_point_id"] for row in found])
    return {"contact_points": [dict(row) for row in found], **history}


def person_id_of(person: str | None) -> UUID | None:
    """The id that was typed; ConfigurationError where it is none."""
    if person is None:
        return None
    try:
        return UUID(person)
    except ValueError:
        raise ConfigurationError(
            "PERSON is an id (a GUID). For an address, give `-` and the address on standard input."
        ) from None
