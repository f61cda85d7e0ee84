"""The repair loop: what is in quarantine, the row behind an entry, trying again, letting go. Mending is in mending.py.

The row itself stays in the landing, encrypted, until the batch's end; an entry holds what is wrong and never the value.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy import Connection

from connectors.decoders import decode
from connectors.store import batches, narrow_calls
from connectors.store.batches import BatchRow
from connectors.store.landing import get_payload
from connectors.store.mending import Entries, count_open, discard_entry, get_mended, read_mendings, read_quarantine
from pipelines.operations.intake import Gated, apply_batches, apply_rows, is_still_undone, mapping_hash
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session
from pipelines.transforms.amending import with_mended_cells
from pipelines.transforms.text import tidy
from schemas.errors import ConfigurationError
from schemas.faults import FAULTS
from schemas.mappings import BATCH_ID, Mapping
from schemas.records import BatchState

_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: None is any. `owner` is who the mapping names as the feed's, `older_than_days` the least age."""

    state: str | None = "open"
    source: str | None = None
    feed: str | None = None
    reason: str | None = None
    owner: str | None = None
    older_than_days: int | None = None
    limit: int = 500


def list_entries(session: Session, asked: Filter | None = None) -> list[dict[str, Any]]:
    """Entries with what is wrong, how to mend it, whose form it is and how many days it has waited; oldest first."""
    asked = asked or Filter()
    before = None if asked.older_than_days is None else session.now - timedelta(days=asked.older_than_days)
    wanted = Entries(
        state=asked.state,
        source=asked.source,
        feeds=_feeds(session, asked),
        fault=asked.reason,
        before=before,
        limit=asked.limit,
    )
    with session.transaction() as conn:
        return [_explained(session, entry) for entry in read_quarantine(conn, wanted)]


def count_entries(session: Session) -> list[dict[str, Any]]:
    """Open entries by feed and reason with their owner, how many days the oldest has waited and which it is."""
    with session.transaction() as conn:
        counted = count_open(conn)
    return [
        {**row, "owner": owner_of(session, row["feed"]), "age_days": (session.now - row["oldest_at"]).days}
        for row in counted
    ]


def list_stopped(session: Session, *, feed: str | None = None) -> list[dict[str, Any]]:
    """Batches of which nothing but lowerings was applied: the reason and the remedy of each, in the order received."""
    with session.transaction() as conn:
        stopped = [batch for batch in batches.stopped_batches(conn) if feed in (None, batch.feed)]
    return [
        {
            "batch_id": batch.batch_id,
            "feed": batch.feed,
            "owner": owner_of(session, batch.feed),
            "received_at": batch.received_at,
            "code": batch.stop_code,
            "reason": batch.stop_reason,
            "remedy": batch.stop_remedy,
        }
        for batch in stopped
    ]


def show_entry(session: Session, entry_id: int) -> dict[str, Any]:
    """One entry with its row, mended cells in place: the columns that the mapping reads, and all that is wrong in it.

    This shows a person's data: it is for the eyes of who mends it.
    """
    entry = find_entry(session, entry_id)
    mapping = mapping_of(session, entry["feed"])
    with session.transaction() as conn:
        wrong = read_quarantine(conn, Entries(batch=entry["batch_id"], row_no=entry["row_no"], limit=_ALL))
        mendings = read_mendings(conn, entry["batch_id"], entry["row_no"])
    row = read_rows(session, entry["batch_id"], mapping).iloc[entry["row_no"] - 1]
    faults = [_explained(session, one) for one in wrong]
    shown = {title: row[title] for title in shown_titles(row.index, mapping)}
    return {
        **_explained(session, entry),
        "row": {title: None if value != value else value for title, value in shown.items()},
        "bad_columns": sorted({one["column_title"] for one in faults if one["column_title"]}),
        "faults": [{name: one[name] for name in ("field", "column_title", "what", "remedy")} for one in faults],
        "mended": mendings,
    }


def read_rows(session: Session, batch_id: UUID, mapping: Mapping, *, as_received: bool = False) -> pd.DataFrame:
    """A batch's raw frame out of the landing, its mended cells in place or as received. BatchRefused where it is gone."""
    with session.transaction() as conn:
        batch = batches.get_batch(conn, batch_id)
        payload = get_payload(conn, batch_id, keys=session.workspace.keys)
        cells = [] if as_received else get_mended(conn, batch_id, keys=session.workspace.keys)
    raw = decode(batch.media_type, payload, mapping).assign(**{BATCH_ID: str(batch_id)})
    return with_mended_cells(raw, [astuple(cell) for cell in cells], mapping)


def shown_titles(delivered: Iterable[str], mapping: Mapping) -> dict[str, str]:
    """Of the delivered titles those that the mapping reads, with its own spelling of each.

    What it ignores is nobody's business here, and what it derives by itself (`__part`) cannot be mended.
    """
    read = {tidy(name): name for name in mapping.mapped_columns() if not name.startswith("__")}
    return {title: read[tidy(title)] for title in delivered if tidy(title) in read}


def retry(session: Session, entry_id: int | None = None) -> list[Gated]:
    """Read again the row of one entry, or the batch of every open one and every stopped batch.

    Where the mapping is another than the one that read the batch, the whole batch of an entry is read again. What was undone
    is left out until then (`left_out`), and so is a feed that has no mapping. The CRM is told at once of whom it withdraws.
    """
    if entry_id is not None:
        entry = find_entry(session, entry_id)
        return retry_rows(session, entry["batch_id"], [entry["row_no"]])
    with as_merger(session):
        with session.transaction() as conn:
            known = [batch for batch in _open_batches(conn) if batch.feed in session.workspace.mappings]
            ids = {batch.batch_id for batch in known if not is_still_undone(session.workspace, batch)}
            replayable = batches.replayable(conn, sorted(ids, key=str))
        gated = apply_batches(session, replayable)
    _call_lowered(session)
    return gated


def left_out(session: Session, entry_id: int | None = None) -> list[str]:
    """The feeds of what `retry` does not read: batches that were undone, while the mapping is the one that had read them."""
    asked = None if entry_id is None else find_entry(session, entry_id)["batch_id"]
    with session.transaction() as conn:
        found = _open_batches(conn) if asked is None else [batches.get_batch(conn, asked)]
    return sorted(batch.feed for batch in found if is_still_undone(session.workspace, batch))


def _open_batches(conn: Connection) -> list[BatchRow]:
    """The batches with an open entry, and every stopped one."""
    ids = {entry["batch_id"] for entry in read_quarantine(conn, Entries(limit=_ALL))}
    ids |= {batch.batch_id for batch in batches.stopped_batches(conn)}
    return [batches.get_batch(conn, batch_id) for batch_id in ids]


def retry_rows(session: Session, batch_id: UUID, row_nos: list[int]) -> list[Gated]:
    """Read some rows of a batch again; all of it where it was stopped or its mapping is another by now.

    Nothing of it where it was undone and its mapping is the same.
    """
    mapping = mapping_of(session, feed_of(session, batch_id))
    with as_merger(session):
        with session.transaction() as conn:
            batch = batches.get_batch(conn, batch_id)
        if is_still_undone(session.workspace, batch):
            return []
        if batch.state is BatchState.APPLIED and batch.mapping_hash == mapping_hash(mapping):
            apply_rows(session, batch_id, row_nos)
            gated = [Gated(batch, (), None)]
        else:
            gated = apply_batches(session, [batch_id])
    _call_lowered(session)
    return gated


def _call_lowered(session: Session) -> None:
    """No run of the CRM follows by itself: who withdrew in what was read is told of at once."""
    with session.transaction() as conn:
        narrow_calls.call_lowered(conn, session.run_id)


def feed_of(session: Session, batch_id: UUID) -> str:
    """The feed of a batch."""
    with session.transaction() as conn:
        return batches.get_batch(conn, batch_id).feed


def discard(session: Session, entry_id: int, *, by: str, reason: str) -> None:
    """Let an entry go, by a named person for a reason; ConfigurationError where it is not open."""
    by, reason = signed(by, reason)
    with session.transaction() as conn:
        if not discard_entry(conn, entry_id, by=by, reason=reason, at=session.now):
            raise ConfigurationError(f"Quarantine entry {entry_id} is not open. See `crm-intake quarantine list`.")


def signed(by: str, reason: str) -> tuple[str, str]:
    """Who and why, neither of them blank. ConfigurationError."""
    by, reason = by.strip(), reason.strip()
    if not by or not reason:
        raise ConfigurationError("Say who does it (--by NAME) and why (--reason TEXT): both are kept with the entry.")
    return by, reason


def find_entry(session: Session, entry_id: int) -> dict[str, Any]:
    """One entry in whatever state. ConfigurationError where there is none."""
    with session.transaction() as conn:
        found = read_quarantine(conn, Entries(state=None, entry=entry_id))
    if not found:
        raise ConfigurationError(f"There is no quarantine entry {entry_id}. See `crm-intake quarantine list`.")
    return found[0]


def mapping_of(session: Session, feed: str) -> Mapping:
    """The mapping of a feed. ConfigurationError where it is mapped no more."""
    mapping = session.workspace.mappings.get(feed)
    if mapping is None:
        raise ConfigurationError(f"Feed {feed} has no mapping (any more). Put its file back into config/sources.")
    return mapping


def owner_of(session: Session, feed: str) -> str:
    """Whose form it is, as its mapping says; '' where it is mapped no more."""
    mapping = session.workspace.mappings.get(feed)
    return mapping.owner if mapping else ""


def _feeds(session: Session, asked: Filter) -> list[str] | None:
    if asked.owner is None:
        return None if asked.feed is None else [asked.feed]
    owned: dict[str, list[str]] = defaultdict(list)
    for feed, mapping in session.workspace.mappings.items():
        owned[mapping.owner.casefold()].append(feed)
    return [feed for feed in owned[asked.owner.casefold()] if asked.feed in (None, feed)]


def _explained(session: Session, entry: dict[str, Any]) -> dict[str, Any]:
    fault = FAULTS[entry["fault"]]
    age = (session.now - entry["first_seen_at"]).days
    owner = owner_of(session, entry["feed"])
    return {**entry, "what": fault.what, "remedy": fault.remedy, "owner": owner, "age_days": age}
