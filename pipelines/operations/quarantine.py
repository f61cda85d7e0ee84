"""The repair loop: what is in quarantine, the row behind an entry, trying again, letting go.

The row itself stays in the landing, encrypted, until the batch's end; an entry holds what is wrong and never the value.
"""

from typing import Any

from connectors.decoders import decode
from connectors.store import batches
from connectors.store.inspection import discard_entry, read_quarantine
from connectors.store.landing import get_payload
from pipelines.operations.intake import Gated, apply_batches
from pipelines.operations.redaction import row_numbers
from pipelines.operations.sessions import Session
from schemas.errors import ConfigurationError
from schemas.faults import FAULTS
from schemas.mappings import ROW_NO


def list_entries(session: Session, *, state: str | None = "open", feed: str | None = None) -> list[dict[str, Any]]:
    """Entries with what is wrong and how to mend it, oldest first."""
    with session.transaction() as conn:
        return [_explained(entry) for entry in read_quarantine(conn, state=state, feed=feed)]


def list_stopped(session: Session, *, feed: str | None = None) -> list[dict[str, Any]]:
    """Batches of which nothing but lowerings was applied: the reason and the remedy of each, in the order received."""
    with session.transaction() as conn:
        stopped = [batch for batch in batches.stopped_batches(conn) if feed in (None, batch.feed)]
    return [
        {
            "batch_id": batch.batch_id,
            "feed": batch.feed,
            "received_at": batch.received_at,
            "code": batch.stop_code,
            "reason": batch.stop_reason,
            "remedy": batch.stop_remedy,
        }
        for batch in stopped
    ]


def show_entry(session: Session, entry_id: int) -> dict[str, Any]:
    """One entry with the row as received. This shows a person's data: it is for the eyes of who mends it."""
    with session.transaction() as conn:
        entry = _entry(read_quarantine(conn, state=None, entry=entry_id), entry_id)
        batch = batches.get_batch(conn, entry["batch_id"])
        payload = get_payload(conn, batch.batch_id, keys=session.workspace.keys)
    raw = decode(batch.media_type, payload, session.workspace.mappings[batch.feed])
    found = raw[row_numbers(raw) == entry["row_no"]]
    if found.empty:
        raise ConfigurationError("The row of this entry was erased. Discard the entry.")
    row = found.iloc[0].drop(ROW_NO, errors="ignore")
    return {**_explained(entry), "row": {title: None if value != value else value for title, value in row.items()}}


def retry(session: Session, entry_id: int | None = None) -> list[Gated]:
    """Shape and merge again the batch of one entry, or of every open one and every stopped batch; then nothing is new
    but what the mended mapping now reads."""
    with session.transaction() as conn:
        entries = read_quarantine(conn, state="open" if entry_id is None else None, entry=entry_id, limit=100_000)
        if entry_id is not None:
            _entry(entries, entry_id)
        ids = {entry["batch_id"] for entry in entries}
        if entry_id is None:
            ids |= {batch.batch_id for batch in batches.stopped_batches(conn)}
        replayable = batches.replayable(conn, sorted(ids, key=str))
    return apply_batches(session, replayable)


def discard(session: Session, entry_id: int) -> None:
    """Let an entry go; ConfigurationError where it is not open."""
    with session.transaction() as conn:
        if not discard_entry(conn, entry_id):
            raise ConfigurationError(f"Quarantine entry {entry_id} is not open. See `crm-intake quarantine list`.")


def _entry(entries: list[dict[str, Any]], entry_id: int) -> dict[str, Any]:
    if not entries:
        raise ConfigurationError(f"There is no quarantine entry {entry_id}. See `crm-intake quarantine list`.")
    return entries[0]


def _explained(entry: dict[str, Any]) -> dict[str, Any]:
    fault = FAULTS[entry["fault"]]
    return {**entry, "what": fault.what, "remedy": fault.remedy}
