"""The landing: what comes out is what went in, nothing readable lies there, and what was changed or erased is told."""

import dataclasses
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, text, update

from connectors.store import landing
from connectors.store.address import ServerAddress
from connectors.store.engine import create_store_engine
from connectors.store.keys import KeyRing
from connectors.store.landing import LANDING_KEY, LANDING_PAYLOAD, get_payload, put_batch, rewrap_keys
from schemas.errors import BatchRefused, ConfigurationError, StoreError
from schemas.records import ReceivedBatch

MARKER = b"marker.person@example.org"


def make_batch(payload: bytes) -> ReceivedBatch:
    received_at = datetime(2026, 5, 1, 6, tzinfo=UTC)
    return ReceivedBatch("webropol", "f1", "text/csv", payload, date(2026, 5, 1), received_at, "feed f1", "hash")


@pytest.fixture(scope="module")
def engine(store: ServerAddress) -> Iterator[Engine]:
    owner = create_store_engine(store)
    with owner.begin() as conn:
        for table in (LANDING_PAYLOAD, LANDING_KEY):
            table.create(conn, checkfirst=True)
    owner.dispose()
    engine = create_store_engine(store, role="intake_pipeline")
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as conn:
        yield conn


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


def landed(conn: Connection, keys: KeyRing, payload: bytes) -> uuid.UUID:
    batch_id = uuid.uuid4()
    put_batch(conn, make_batch(payload), batch_id, keys=keys)
    return batch_id


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "PART_BYTES", 64)


@pytest.mark.parametrize(
    "payload", [b"", b"a", MARKER * 1000, os.urandom(200_000)], ids=["empty", "one", "text", "noise"]
)
def test_payload_comes_out_as_it_went_in(conn: Connection, keys: KeyRing, payload: bytes) -> None:
    assert get_payload(conn, landed(conn, keys, payload), keys=keys) == payload


def test_large_payload_lies_in_several_parts(conn: Connection, keys: KeyRing) -> None:
    payload = os.urandom(landing.PART_BYTES + 1000)
    batch_id = landed(conn, keys, payload)
    parts = conn.execute(select(LANDING_PAYLOAD.c.part_no).where(LANDING_PAYLOAD.c.batch_id == batch_id)).scalars()
    assert sorted(parts) == [0, 1]
    assert get_payload(conn, batch_id, keys=keys) == payload


def test_nothing_readable_lies_in_the_database(conn: Connection, keys: KeyRing) -> None:
    batch_id = landed(conn, keys, MARKER)
    secret = keys.current("landing").secret
    stored = b"".join(
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
        for table in (LANDING_PAYLOAD, LANDING_KEY)
        for row in conn.execute(select(table).where(table.c.batch_id == batch_id))
        for value in row
    )
    assert MARKER not in stored and secret not in stored
    assert len(stored) > len(MARKER)


def test_same_payload_twice_looks_different(conn: Connection, keys: KeyRing) -> None:
    ids = [landed(conn, keys, MARKER) for _ in range(2)]
    query = select(LANDING_PAYLOAD.c.ciphertext).where(LANDING_PAYLOAD.c.batch_id.in_(ids))
    first, second = conn.execute(query).scalars()
    assert first[12:] != second[12:]


def test_batch_lands_once(conn: Connection, keys: KeyRing) -> None:
    batch_id = landed(conn, keys, b"x")
    with pytest.raises(StoreError) as raised:
        put_batch(conn, make_batch(b"y"), batch_id, keys=keys)
    assert raised.value.sqlstate == "23505"


def test_erased_batch_says_so(conn: Connection, keys: KeyRing) -> None:
    batch_id = landed(conn, keys, MARKER)
    for table in (LANDING_PAYLOAD, LANDING_KEY):
        conn.execute(delete(table).where(table.c.batch_id == batch_id))
    with pytest.raises(BatchRefused) as raised:
        get_payload(conn, batch_id, keys=keys)
    assert raised.value.code == "payload_erased"


TAMPERING = {
    "last part cut off": lambda p, b: delete(p).where(p.c.batch_id == b, p.c.part_no == 3),
    "first part gone": lambda p, b: delete(p).where(p.c.batch_id == b, p.c.part_no == 0),
    "all parts gone": lambda p, b: delete(p).where(p.c.batch_id == b),
    "order changed": lambda p, b: update(p).where(p.c.batch_id == b, p.c.part_no == 0).values(part_no=99),
    "a bit flipped": lambda p, b: (
        update(p)
        .where(p.c.batch_id == b, p.c.part_no == 1)
        .values(ciphertext=text("set_bit(ciphertext, 200, 1 - get_bit(ciphertext, 200))"))
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
@pytest.mark.usefixtures("small_parts")
def test_changed_payload_is_refused(conn: Connection, keys: KeyRing, how: str) -> None:
    batch_id = landed(conn, keys, os.urandom(200))
    assert conn.execute(TAMPERING[how](LANDING_PAYLOAD, batch_id)).rowcount >= 1
    with pytest.raises(BatchRefused) as raised:
        get_payload(conn, batch_id, keys=keys)
    assert raised.value.code == "payload_corrupt"


def test_part_of_another_batch_is_refused(conn: Connection, keys: KeyRing) -> None:
    theirs, ours = landed(conn, keys, MARKER), uuid.uuid4()
    for table in (LANDING_PAYLOAD, LANDING_KEY):
        row = conn.execute(select(table).where(table.c.batch_id == theirs)).one()._asdict()
        conn.execute(insert(table).values(**{**row, "batch_id": ours}))
    with pytest.raises(BatchRefused):
        get_payload(conn, ours, keys=keys)


def test_another_ring_cannot_read_it(conn: Connection, keys: KeyRing, tmp_path: Path) -> None:
    batch_id = landed(conn, keys, MARKER)
    with pytest.raises(ConfigurationError, match="not in the ring"):
        get_payload(conn, batch_id, keys=KeyRing(tmp_path / "other"))


def test_rotated_landing_key_reads_old_batches_and_rewraps_them(
    conn: Connection, keys: KeyRing, tmp_path: Path
) -> None:
    conn.execute(delete(LANDING_KEY))
    old = landed(conn, keys, MARKER)
    keys.rotate("landing")
    new = landed(conn, keys, MARKER)
    assert get_payload(conn, old, keys=keys) == MARKER
    assert rewrap_keys(conn, keys=keys) == 1
    assert rewrap_keys(conn, keys=keys) == 0
    (tmp_path / "keys" / "landing-0001.key").unlink()
    assert [get_payload(conn, batch_id, keys=keys) for batch_id in (old, new)] == [MARKER, MARKER]


def test_landing_is_part_of_the_callers_transaction(conn: Connection, keys: KeyRing) -> None:
    batch_id = landed(conn, keys, MARKER)
    conn.rollback()
    with pytest.raises(BatchRefused):
        get_payload(conn, batch_id, keys=keys)


def test_batch_is_not_changed_by_landing_it(conn: Connection, keys: KeyRing) -> None:
    batch = make_batch(MARKER)
    before = dataclasses.asdict(batch)
    put_batch(conn, batch, uuid.uuid4(), keys=keys)
    assert dataclasses.asdict(batch) == before
