"""Deliveries of webhooks in the store: each submission's content is landed once, and a signature is taken once.

The body lies in the encrypted landing as every batch does; here stand hashes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from connectors.store.batches import BATCH, BatchState
from connectors.store.keys import KeyRing
from connectors.store.landing import put_batch
from schemas.records import ReceivedBatch

ORIGIN = "webhook"

_NOTE = """
insert into intake.webhook_delivery (feed, submission_key, content_hash, batch_id)
values (:feed, :submission_key, :content_hash, :batch_id)
on conflict do nothing
"""

_SEEN = """
insert into intake.webhook_replay (feed, signature_hash) values (:feed, :signature_hash) on conflict do nothing
"""

_FORGET = "delete from intake.webhook_replay where seen_at < clock_timestamp() - :age"

_FORGET_DELIVERIES = """
delete from intake.webhook_delivery d where delivered_at < clock_timestamp() - :age
  and not exists (select from intake.batch b where b.batch_id = d.batch_id and b.state = 'landed')
"""

_LANDED = """
select distinct b.batch_id, b.feed, b.media_type, b.received_at
from intake.webhook_delivery d join intake.batch b using (batch_id)
where b.state = 'landed' order by b.feed, b.media_type, b.received_at, b.batch_id limit :limit
"""

_TOUCHED = """
select distinct s.contact_point_id from intake.submission s
join intake.contact_point c on c.contact_point_id = s.contact_point_id
where s.batch_id = any(:ids) and c.version > c.acked_version
union
select distinct e.contact_point_id from intake.consent_event e
join intake.contact_point c on c.contact_point_id = e.contact_point_id
where e.batch_id = any(:ids) and c.version > c.acked_version
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: what was received, and the id that its engine gave the submission."""

    received: ReceivedBatch
    submission_id: str


def land_delivery(conn: Connection, delivery: Delivery, *, keys: KeyRing, keep: timedelta) -> bool:
    """Land the body in the caller's transaction; False where exactly this was landed before."""
    received, batch_id = delivery.received, uuid4()
    values = {
        "feed": received.feed,
        "submission_key": sha256(delivery.submission_id.encode()).digest(),
        "content_hash": received.content_hash,
        "batch_id": batch_id,
    }
    if not conn.execute(text(_NOTE), values).rowcount:
        return False
    conn.execute(
        BATCH.insert().values(
            batch_id=batch_id,
            source=received.source,
            feed=received.feed,
            received_on=received.received_on,
            received_at=received.received_at,
            media_type=received.media_type,
            origin=f"{ORIGIN}/{received.origin}",
            content_hash=received.content_hash,
            state=str(BatchState.LANDED),
            landed_at=received.received_at,
            expires_at=received.received_at + keep,
        )
    )
    put_batch(conn, received, batch_id, keys=keys)
    return True


def is_first_sight(conn: Connection, feed: str, signature: bytes) -> bool:
    """Whether a signature was not seen before; remembers it."""
    values = {"feed": feed, "signature_hash": sha256(signature).digest()}
    return conn.execute(text(_SEEN), values).rowcount > 0


def forget_signatures(conn: Connection, *, older_than: timedelta) -> int:
    """Forget signatures that are too old to be taken anyway."""
    return conn.execute(text(_FORGET), {"age": older_than}).rowcount


def forget_deliveries(conn: Connection, *, older_than: timedelta) -> int:
    """Forget which bodies came so long ago, save what was not read yet."""
    return conn.execute(text(_FORGET_DELIVERIES), {"age": older_than}).rowcount


def landed_deliveries(conn: Connection, *, limit: int) -> list[UUID]:
    """Batches that came by a webhook and were not read yet; of one form and kind together, in the order received."""
    return list(conn.execute(text(_LANDED), {"limit": limit}).scalars())


def addresses_of(conn: Connection, batch_ids: Sequence[UUID]) -> list[UUID]:
    """The addresses that these batches said something of, and that the CRM is not up to date with."""
    return list(conn.execute(text(_TOUCHED), {"ids": list(batch_ids)}).scalars())
