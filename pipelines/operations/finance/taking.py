"""Taking finance's columns: from batches that the intake has landed, and from files of finance's own template.

A landed batch is decoded anew and only its finance columns go on, under finance's role. The intake itself never holds them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from connectors.decoders import MediaType, decode
from connectors.files import DroppedFiles, media_type_of
from connectors.finance.merging import Delivery, merge_delivery, taken_batches
from connectors.store import batches
from connectors.store.landing import get_payload
from pipelines.operations.finance.office import FinanceOffice
from pipelines.operations.intake import mapping_hash
from pipelines.operations.redaction import release_taken
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import source_settings
from pipelines.transforms.finance.entries import read_entries
from schemas.errors import BatchRefused, ConfigurationError
from schemas.mappings import Mapping
from schemas.records import Window

RUN_KIND = "finance"


@dataclass
class Taken:
    """What one feed gave: deliveries read, entries new or changed, values refused, deliveries that were refused whole."""

    feed: str
    deliveries: int = 0
    entries: int = 0
    refusals: int = 0
    problems: list[str] = field(default_factory=list)


def take_all(session: Session, office: FinanceOffice) -> list[Taken]:
    """Take what was landed and what was dropped, and write it down as a run of finance's (pipelines.operations.watching)."""
    with session.transaction() as conn:
        batches.start_run(conn, session.run_id, RUN_KIND, at=session.now)
    taken: list[Taken] = []
    state = "failed"
    try:
        taken = [*take_landed(session, office), *take_own_files(office, now=session.now)]
        state = "failed" if any(one.problems for one in taken) else "done"
    finally:
        with session.transaction() as conn:
            batches.finish_run(conn, session.run_id, state, {}, at=session.workspace.now())
    return taken


def take_landed(session: Session, office: FinanceOffice) -> list[Taken]:
    """Read every batch in the landing that finance has not read by its present mapping, of each feed that has a part for
    finance. A batch that cannot be read is a problem, stays, and is tried again.

    What the landing kept for finance of people who are erased goes from there once it is taken."""
    mappings = [mapping for mapping in session.workspace.mappings.values() if mapping.finance]
    return [_take_feed(session, office, mapping) for mapping in mappings]


def take_own_files(office: FinanceOffice, *, now: datetime) -> list[Taken]:
    """Take in what lies in the drop folder for finance's own feeds; a file is removed once its entries are durable."""
    return [_take_dropped(office, mapping, now) for mapping in office.feeds.values()]


def take_file(office: FinanceOffice, path: Path, feed: str, *, now: datetime) -> Taken:
    """Take in one file of a feed of finance's own; BatchRefused says what is wrong with the whole of it."""
    mapping = office.feeds.get(feed)
    if mapping is None:
        raise ConfigurationError(f"Finance has no feed {feed!r}; it has {', '.join(office.feeds) or 'none'}.")
    taken = Taken(feed)
    _take(office, path.read_bytes(), mapping, _Origin(str(media_type_of(mapping)), now), taken=taken)
    return taken


@dataclass(frozen=True)
class _Origin:
    media_type: str
    received_at: datetime
    batch_id: UUID | None = None


def _take_feed(session: Session, office: FinanceOffice, mapping: Mapping) -> Taken:
    taken = Taken(mapping.feed)
    with office.transaction() as conn:
        known = taken_batches(conn, mapping_hash(mapping))
    with session.transaction() as conn:
        landed = batches.landed_of_feed(conn, mapping.feed)
    for batch in landed:
        try:
            if batch.batch_id not in known:
                _take_batch(session, office, batch.batch_id, mapping, taken=taken)
            if batch.media_type == MediaType.OWED_ARROW:
                release_taken(session, batch.batch_id)
        except BatchRefused as refused:
            taken.problems.append(f"batch {batch.batch_id}: {refused}")
    return taken


def _take_batch(session: Session, office: FinanceOffice, batch_id: UUID, mapping: Mapping, *, taken: Taken) -> None:
    with session.transaction() as conn:
        batch = batches.get_batch(conn, batch_id)
        payload = get_payload(conn, batch_id, keys=session.workspace.keys)
    _take(office, payload, mapping, _Origin(batch.media_type, batch.received_at, batch_id), taken=taken)


def _take_dropped(office: FinanceOffice, mapping: Mapping, now: datetime) -> Taken:
    files = source_settings(office.settings, office.policy.organisation.timezone).files
    assert files is not None
    door, taken = DroppedFiles(files), Taken(mapping.feed)
    try:
        for batch in door.iter_batches(mapping, Window(now.date(), now.date()), now=now):
            try:
                _take(office, batch.payload, mapping, _Origin(batch.media_type, batch.received_at), taken=taken)
            except BatchRefused as refused:
                taken.problems.append(str(refused))
                continue
            door.acknowledge(batch)
    except BatchRefused as refused:
        taken.problems.append(str(refused))
    return taken


def _take(office: FinanceOffice, payload: bytes, mapping: Mapping, origin: _Origin, *, taken: Taken) -> None:
    raw = decode(origin.media_type, payload, mapping)
    batch = read_entries(raw, mapping, received_at=origin.received_at, policy=office.policy)
    delivery = Delivery(str(mapping.source), mapping.feed, origin.received_at, origin.batch_id, mapping_hash(mapping))
    frames = {"entries": batch.entries, "parties": batch.parties, "refusals": batch.refusals}
    entries, refusals = merge_delivery(office.engine, office.address, frames, delivery)
    taken.deliveries += 1
    taken.entries += entries
    taken.refusals += refusals
