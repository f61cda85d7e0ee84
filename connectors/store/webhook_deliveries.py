"""Deliveries of webhooks in the store: each submission's content is landed once, and a signature is taken once.

Where a mapping tells no time of change, a body that came before another of its submission is news when it comes again. The
body lies in the encrypted landing as every batch does; here stand hashes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from connectors.store.batches import Stay, add_batch
from connectors.store.keys import KeyRing
from connectors.store.landing import put_batch
from schemas.records import ReceivedBatch

ORIGIN = "webhook"

# Deliveries of one submission at once take turns: each is to know which was the last.
_TAKE_TURN = "select pg_advisory_xact_lock(hashtextextended(:feed || '|' || encode(:submission_key, 'hex'), 0))"

_IS_KNOWN = """
select content_hash = :content_hash from intake.webhook_delivery
where feed = :feed and submission_key = :submission_key and (content_hash = :content_hash or not :tells_change)
order by delivered_at desc limit 1
"""

_NOTE = """
insert into intake.webhook_delivery (feed, submission_key, content_hash, batch_id)
values (:feed, :submission_key, :content_hash, :batch_id)
on conflict (feed, submission_key, content_hash) do update set
    batch_id = excluded.batch_id, delivered_at = excluded.delivered_at
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
    """One delivery: what was received, the id that its engine gave the submission, and whether its rows tell of changes."""

    received: ReceivedBatch
    submission_id: str
    tells_change: bool


def land_delivery(conn: Connection, delivery: Delivery, *, keys: KeyRing, keep: timedelta) -> bool:
    """Land the body in the caller's transaction; False where it is what the submission was last known to say.

    A body that comes again as news, or after it was forgotten here, is a batch of its own, received now.
    """
    received, batch_id = delivery.received, uuid4()
    values = {
        "feed": received.feed,
        "submission_key": sha256(delivery.submission_id.encode()).digest(),
        "content_hash": received.content_hash,
        "batch_id": batch_id,
        "tells_change": delivery.tells_change,
    }
    conn.execute(text(_TAKE_TURN), values)
    if conn.execute(text(_IS_KNOWN), values).scalar():
        return False
    conn.execute(text(_NOTE), values)
    pushed = replace(received, origin=f"{ORIGIN}/{received.origin}")
    stay = Stay(received.received_at, received.received_at + keep)
    if not add_batch(conn, pushed, batch_id, stay=stay):
        again = sha256(f"{received.content_hash}|{batch_id}".encode()).hexdigest()
        add_batch(conn, replace(pushed, content_hash=again), batch_id, stay=stay)
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
