"""Making a `ReceivedBatch`: what every door writes on what it received."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.decoders import MediaType, PushedType
from connectors.windows import PullWindow, newest
from schemas.mappings import Mapping
from schemas.records import ReceivedBatch, Window


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought: the `payload` to keep, the `rows` alone as bytes, and when each row last changed.

    The hash is of the rows, so that the same rows pulled again are the same batch, whenever that is.
    """

    media_type: MediaType
    payload: bytes
    rows: bytes
    changed_at: Sequence[datetime | None]


def delivered_batch(
    mapping: Mapping, media_type: MediaType | PushedType, payload: bytes, *, received_at: datetime, timezone: str
) -> ReceivedBatch:
    """The batch of one file or entry, received on the local day of `received_at`."""
    content_hash = hashlib.sha256(payload).hexdigest()
    return ReceivedBatch(
        source=mapping.source,
        feed=mapping.feed,
        media_type=media_type,
        payload=payload,
        received_on=received_at.astimezone(ZoneInfo(timezone)).date(),
        received_at=received_at.astimezone(UTC),
        origin=_origin(mapping, content_hash),
        content_hash=content_hash,
    )


def pulled_batch(mapping: Mapping, window: Window, *, days: PullWindow, pulled: Pulled) -> ReceivedBatch:
    """The batch of one pull, received at the end of the window's last day, or now where that is not over."""
    content_hash = hashlib.sha256(pulled.rows).hexdigest()
    return ReceivedBatch(
        source=mapping.source,
        feed=mapping.feed,
        media_type=pulled.media_type,
        payload=pulled.payload,
        received_on=window.last_on,
        received_at=min(days.now, days.until - timedelta(microseconds=1)),
        origin=_origin(mapping, content_hash),
        content_hash=content_hash,
        watermark=newest(pulled.changed_at),
    )


def _origin(mapping: Mapping, content_hash: str) -> str:
    return f"{mapping.feed}/{content_hash[:16]}"
