"""Keys: what each is for, what still needs an old one, and putting a new one in its place."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from connectors.store.keys import KEY_NAMES, UNROTATABLE
from connectors.store.landing import rewrap_keys
from pipelines.operations.sessions import Session


@dataclass(frozen=True)
class Use:
    """What a key is for: what its loss costs, what becomes of the old one, and how many rows need each (`query`)."""

    loss: str
    note: str
    query: str | None = None


_TOMBSTONES = "select key_id, count(*) as rows from intake.tombstone group by key_id"
_BATCHES = "select key_id, count(*) as rows from intake.landing_key group by key_id"
USES = {
    "landing": Use(
        "no landed batch can be read, retried or exported; the ledger and the CRM are whole",
        "Every batch is under it now: destroy the older ones, and what a dump holds of batches dies with them.",
        _BATCHES,
    ),
    "tombstone": Use(
        "no erasure can be recognised: runs stop until its backup is back, for what was erased could come back",
        "Older ones verify until what they hashed is next matched; keep them while anything needs them.",
        _TOMBSTONES,
    ),
    "link": Use(
        "links that were sent do nothing, neither the page nor one-click; the CRM's own unsubscribe and replies go on",
        "Links under older keys work as long as those stay in the ring: keep them for a year after the last newsletter.",
    ),
    "ledger_head": Use(
        "heads that it signed cannot be verified until its backup is back",
        "Keep the older ones: heads are verified by the key that signed them.",
    ),
    "ledger": Use("nothing is read or recorded until its backup is back", "It never rotates."),
    "guid_salt": Use("nothing is read or recorded until its backup is back", "It never rotates."),
    "certificate": Use(
        "certificates that it signed cannot be verified until its backup is back",
        "Keep the older ones: certificates are verified by the key that signed them.",
    ),
}


def list_keys(session: Session) -> list[dict[str, Any]]:
    """Every key of the ring, oldest first by name; `needed_by` is how many rows need it, None where that is not counted."""
    with session.transaction() as conn:
        return [row for name in KEY_NAMES for row in _keys_of(session, conn, name)]


def make_keys(session: Session) -> list[str]:
    """The ids of the current keys, each name's first one made where the ring has none: what a deployment is given.

    ConfigurationError where the store holds what was made under one that the ring lost.
    """
    return [session.workspace.keys.current(name).key_id for name in KEY_NAMES]


def rotate_key(session: Session, name: str) -> dict[str, Any]:
    """A new current key of a name, and what is to be done with the old. ConfigurationError for one that never rotates."""
    key = session.workspace.keys.rotate(name)
    rewrapped = 0
    if name == "landing":
        with session.transaction() as conn:
            rewrapped = rewrap_keys(conn, keys=session.workspace.keys)
    return {"key_id": key.key_id, "rewrapped": rewrapped, "note": USES[name].note}


def _keys_of(session: Session, conn: Connection, name: str) -> list[dict[str, Any]]:
    keys = session.workspace.keys.all_keys(name)
    use = USES[name]
    counted = {row.key_id: row.rows for row in conn.execute(text(use.query))} if use.query else None
    return [
        {
            "name": name,
            "key_id": key.key_id,
            "is_current": key is keys[-1],
            "needed_by": None if counted is None else counted.get(key.key_id, 0),
            "rotates": name not in UNROTATABLE,
            "loss": use.loss,
        }
        for key in keys
    ]
