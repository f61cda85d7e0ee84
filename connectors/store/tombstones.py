"""Tombstones: keyed hashes of what was erased, by which every merge refuses it, set-based and at the speed of a load.

HMAC-SHA-256 (RFC 2104) under the ring's `tombstone` keys; PostgreSQL has SHA-256 built in, so the hashes of a batch are
made where its rows are. A key that is not the newest verifies until what it hashed is next matched, which hashes it anew.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, text

from connectors.store import tombstone_sql
from connectors.store.keys import Key, KeyRing
from connectors.store.locks import lock_key
from connectors.store.rights_tables import TOMBSTONE
from schemas.errors import ConfigurationError

KEY_NAME = "tombstone"
ERASED = "erasure"
_BLOCK_BYTES = 64
_ERASURE_LOCK = "erasure"


class Kind(StrEnum):
    """What a tombstone stands for: a whole address, one name at it, a submission, a row of the CRM."""

    ADDRESS = "address"
    SUBJECT = "subject"
    SUBMISSION = "submission"
    CRM_ROW = "crm_row"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One keyed hash. It refuses what occurred at or before `erased_at`, and what has no time."""

    kind: Kind
    key_hash: bytes
    key_id: str
    erased_at: datetime
    purpose: str = ERASED


def keyed_hash(key: Key, kind: Kind, value: str) -> bytes:
    """The hash that stands for a value of a kind; its SQL twin is `hash_of`."""
    return hmac.new(key.secret, f"{kind}|{value}".encode(), hashlib.sha256).digest()


def pads(key: Key) -> tuple[bytes, bytes]:
    """The inner and outer block of HMAC under a key of 32 bytes."""
    padded = key.secret.ljust(_BLOCK_BYTES, b"\0")
    return bytes(b ^ 0x36 for b in padded), bytes(b ^ 0x5C for b in padded)


def key_arrays(keys: Sequence[Key]) -> dict[str, Any]:
    """Keys as the SQL takes them: parallel arrays, and the newest by itself."""
    blocks = [pads(key) for key in keys]
    inner, outer = blocks[-1]
    return {
        "key_ids": [key.key_id for key in keys],
        "inners": [block[0] for block in blocks],
        "outers": [block[1] for block in blocks],
        "key_id": keys[-1].key_id,
        "inner": inner,
        "outer": outer,
    }


def usable_keys(conn: Connection, keys: KeyRing | Sequence[Key]) -> list[Key]:
    """The keys by which the tombstones there are were made, the newest last; none where there is no tombstone.

    ConfigurationError where one is not in the ring: what it erased could come back.
    """
    used = set(conn.execute(text(tombstone_sql.KEY_IDS)).scalars())
    if not used:
        return []
    known = keys.all_keys(KEY_NAME) if isinstance(keys, KeyRing) else list(keys)
    missing = used - {key.key_id for key in known}
    if missing:
        raise ConfigurationError(
            f"Tombstone key {', '.join(sorted(missing))} is not in the key ring: what was erased could come back. "
            "Put back the backup of the keys, then run again."
        )
    return [key for key in known[:-1] if key.key_id in used] + known[-1:]


def erased_at(
    conn: Connection,
    address_key: str,
    keys: KeyRing,
    *,
    given_key: str | None = None,
    submission: tuple[str, str] | None = None,
) -> datetime | None:
    """When everybody at an address was last erased, or whoever had this name there or had sent this submission (source, id);
    None where nobody was.
    """
    usable = usable_keys(conn, keys)
    hashes = [keyed_hash(key, Kind.ADDRESS, address_key) for key in usable]
    if given_key is not None:
        hashes += [keyed_hash(key, Kind.SUBJECT, f"{address_key}|{given_key}") for key in usable]
    if submission is not None:
        hashes += [keyed_hash(key, Kind.SUBMISSION, "|".join(submission)) for key in usable]
    statement = "select max(erased_at) from intake.tombstone where kind <> 'crm_row' and key_hash = any(:hashes)"
    found: datetime | None = conn.execute(text(statement), {"hashes": hashes}).scalar() if hashes else None
    return found


def erased_hashes(conn: Connection, kind: Kind) -> set[bytes]:
    """The hashes of what was erased of a kind."""
    statement = "select key_hash from intake.tombstone where kind = :kind"
    return {bytes(found) for found in conn.execute(text(statement), {"kind": str(kind)}).scalars()}


def hold_off_merges(conn: Connection) -> None:
    """Until the end of the transaction no merge is under way: one that began before is finished first."""
    conn.execute(text("select pg_advisory_xact_lock(:key)"), {"key": lock_key(_ERASURE_LOCK)})


def hold_off_erasures(conn: Connection) -> None:
    """Until the end of the transaction nobody is erased; merges may go side by side."""
    conn.execute(text("select pg_advisory_xact_lock_shared(:key)"), {"key": lock_key(_ERASURE_LOCK)})


def add_tombstones(conn: Connection, tombstones: Iterable[Tombstone], *, erasure_id: UUID) -> int:
    """Write tombstones down; returns how many."""
    rows = [
        {
            "kind": str(stone.kind),
            "key_hash": stone.key_hash,
            "key_id": stone.key_id,
            "purpose": stone.purpose,
            "erased_at": stone.erased_at,
            "erasure_id": erasure_id,
        }
        for stone in tombstones
    ]
    if rows:
        conn.execute(insert(TOMBSTONE), rows)
    return len(rows)
