"""The landing: what was received, as received, compressed and encrypted under a key of the batch's own.

The only place that may hold what a mapping drops. A batch's data key is wrapped under the landing key of the ring;
deleting payload and wrapped key is the erasure. What a dump or a WAL archive still holds of them dies with the landing
key that wrapped it: `keys rotate landing`, `rewrap_keys`, then destroy the old one.
"""

import secrets
import struct
from collections.abc import Sequence
from uuid import UUID

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, Connection, Integer, Table, Text, Uuid, delete, insert, select, update
from sqlalchemy.dialects.postgresql import BYTEA

from connectors.store.keys import Key, KeyRing
from connectors.store.metadata import METADATA
from schemas.errors import BatchRefused
from schemas.records import ReceivedBatch

LANDING_PAYLOAD = Table(
    "landing_payload",
    METADATA,
    Column("batch_id", Uuid, primary_key=True),
    Column("part_no", Integer, primary_key=True, autoincrement=False),
    Column("ciphertext", BYTEA, nullable=False),
)

LANDING_KEY = Table(
    "landing_key",
    METADATA,
    Column("batch_id", Uuid, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped_key", BYTEA, nullable=False),
)

PART_BYTES = 8 * 1024 * 1024
_NONCE_BYTES = 12
# NIST SP 800-38D, 8.2.2: random 96-bit nonces are safe to 2^32 messages a key; a batch has hundreds at most.


def put_batch(conn: Connection, batch: ReceivedBatch, batch_id: UUID, *, keys: KeyRing) -> None:
    """Lands the payload of `batch` under `batch_id`, in the caller's transaction; StoreError if that id has landed."""
    data_key = AESGCM.generate_key(bit_length=256)
    landing_key = keys.current("landing")
    wrapped = _wrapped(data_key, batch_id, landing_key)
    conn.execute(insert(LANDING_KEY).values(batch_id=batch_id, key_id=landing_key.key_id, wrapped_key=wrapped))
    _put_parts(conn, batch.payload, batch_id, data_key=data_key)


def replace_payload(conn: Connection, payload: bytes, batch_id: UUID, *, keys: KeyRing) -> None:
    """Puts another payload in the place of a batch's, under the batch's key. BatchRefused as of `data_key_of`."""
    data_key = data_key_of(conn, batch_id, keys=keys)
    conn.execute(delete(LANDING_PAYLOAD).where(LANDING_PAYLOAD.c.batch_id == batch_id))
    _put_parts(conn, payload, batch_id, data_key=data_key)


def _put_parts(conn: Connection, payload: bytes, batch_id: UUID, *, data_key: bytes) -> None:
    compressed = _compressed(payload)
    starts = range(0, len(compressed), PART_BYTES)
    for part_no, start in enumerate(starts):
        bound_to = _part_identity(batch_id, part_no, is_last=part_no == len(starts) - 1)
        ciphertext = _encrypted(data_key, compressed[start : start + PART_BYTES], bound_to)
        conn.execute(insert(LANDING_PAYLOAD).values(batch_id=batch_id, part_no=part_no, ciphertext=ciphertext))


def get_payload(conn: Connection, batch_id: UUID, *, keys: KeyRing) -> bytes:
    """The payload exactly as received.

    BatchRefused `payload_erased` where there is none (any more), `payload_corrupt` where parts are missing, moved or
    changed; ConfigurationError where the landing key that wrapped it is not in the ring.
    """
    data_key = data_key_of(conn, batch_id, keys=keys)
    parts = select(LANDING_PAYLOAD.c.ciphertext).where(LANDING_PAYLOAD.c.batch_id == batch_id)
    ciphertexts = conn.execute(parts.order_by(LANDING_PAYLOAD.c.part_no)).scalars().all()
    try:
        return _decompressed(_joined(ciphertexts, batch_id, data_key))
    except (InvalidTag, ValueError, struct.error, OSError):
        raise _corrupt(batch_id) from None


def data_key_of(conn: Connection, batch_id: UUID, *, keys: KeyRing) -> bytes:
    """The key that everything kept of a batch is under, for what stands beside its payload.

    BatchRefused and ConfigurationError as of `get_payload`.
    """
    row = conn.execute(select(LANDING_KEY).where(LANDING_KEY.c.batch_id == batch_id)).one_or_none()
    if row is None:
        remedy = "Fetch it from its source again (backfill the day it was received)."
        raise BatchRefused("payload_erased", f"Batch {batch_id} is not in the landing.", remedy=remedy)
    landing_key = keys.by_id("landing", row.key_id)
    try:
        return _decrypted(landing_key.secret, row.wrapped_key, _key_identity(batch_id, landing_key.key_id))
    except (InvalidTag, ValueError):
        raise _corrupt(batch_id) from None


def rewrap_keys(conn: Connection, *, keys: KeyRing) -> int:
    """Wraps every data key anew under the current landing key, and returns how many it was not yet under."""
    newest = keys.current("landing")
    stale = conn.execute(select(LANDING_KEY).where(LANDING_KEY.c.key_id != newest.key_id).with_for_update()).all()
    for row in stale:
        older = keys.by_id("landing", row.key_id)
        data_key = _decrypted(older.secret, row.wrapped_key, _key_identity(row.batch_id, older.key_id))
        values = {"key_id": newest.key_id, "wrapped_key": _wrapped(data_key, row.batch_id, newest)}
        conn.execute(update(LANDING_KEY).where(LANDING_KEY.c.batch_id == row.batch_id).values(values))
    return len(stale)


def seal(data_key: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
    """What stands beside a payload, encrypted under its key and bound to its place."""
    return _encrypted(data_key, plain, bound_to)


def unseal(data_key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
    """The opposite of `seal`. BatchRefused `payload_corrupt` where it was changed or moved."""
    try:
        return _decrypted(data_key, sealed, bound_to)
    except (InvalidTag, ValueError):
        message = "A mended value was changed in the landing."
        raise BatchRefused("payload_corrupt", message, remedy="Mend the row again.") from None


def _corrupt(batch_id: UUID) -> BatchRefused:
    remedy = "Delete it and fetch it from its source again."
    return BatchRefused("payload_corrupt", f"Batch {batch_id} was changed in the landing.", remedy=remedy)


def _joined(ciphertexts: Sequence[bytes], batch_id: UUID, data_key: bytes) -> bytes:
    last = len(ciphertexts) - 1
    return b"".join(
        _decrypted(data_key, ciphertext, _part_identity(batch_id, part_no, is_last=part_no == last))
        for part_no, ciphertext in enumerate(ciphertexts)
    )


def _part_identity(batch_id: UUID, part_no: int, *, is_last: bool) -> bytes:
    # Bound into each part's tag: no part can be moved, taken from another batch, or cut off the end.
    return b"part" + batch_id.bytes + struct.pack(">I?", part_no, is_last)


def _key_identity(batch_id: UUID, key_id: str) -> bytes:
    return b"key" + batch_id.bytes + key_id.encode()


def _wrapped(data_key: bytes, batch_id: UUID, landing_key: Key) -> bytes:
    return _encrypted(landing_key.secret, data_key, _key_identity(batch_id, landing_key.key_id))


def _encrypted(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def _decrypted(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)


def _compressed(payload: bytes) -> bytes:
    return struct.pack(">Q", len(payload)) + pa.Codec("zstd").compress(payload, asbytes=True)


def _decompressed(packed: bytes) -> bytes:
    (size,) = struct.unpack_from(">Q", packed)
    return bytes(pa.Codec("zstd").decompress(packed[8:], decompressed_size=size, asbytes=True))
