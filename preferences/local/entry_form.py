"""Manual entries: what somebody said by e-mail, phone or in person, typed in by staff, held to its evidence at the door.

An entry becomes a batch of the manual feed like any other, but only if it would be taken in as it stands: one that lacks
who, when, how or the words of a yes, or that names neither an event nor a purpose, is told so and kept nowhere.
"""

from collections.abc import Mapping as Fields
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import count
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from connectors.decoders import decode
from connectors.manual import typed_entry
from connectors.store import batches, narrow_calls
from connectors.store.batches import BatchRow
from pipelines.operations.intake import apply_batches
from pipelines.operations.merging import MERGE_WAIT_S, as_merger
from pipelines.operations.sessions import Session
from pipelines.transforms.shape import shape_batch
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.faults import FAULTS
from schemas.mappings import Mapping, Source, TimeFormat
from schemas.records import BatchState, ReceivedBatch

FIELDS = ("email", "given_name", "family_name", "phone", "organisation")
SPOKEN = ("purpose", "topic", "decision", "collected_by", "method", "wording")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one field of an entry, in words; the value is not repeated."""

    field: str
    what: str
    remedy: str


class End(StrEnum):
    """What became of an entry that was landed."""

    COUNTS = "counts"
    PARTLY = "partly"
    WITHHELD = "withheld"
    QUARANTINED = "quarantined"
    STOPPED = "stopped"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an entry ended and, where not all of it counts, why: rules and faults by their names, or whole sentences.

    `run_id` is the run that read it; None where none has.
    """

    end: End
    reasons: tuple[str, ...] = ()
    run_id: UUID | None = None


def manual_mapping(session: Session) -> Mapping:
    """The first manual feed that takes typed entries. ConfigurationError where there is none."""
    for mapping in session.workspace.mappings.values():
        if mapping.source is Source.MANUAL and mapping.spoken is not None:
            return mapping
    raise ConfigurationError("No manual feed is mapped. Put config/sources/manual_entries.yaml back.")


def cells_of(mapping: Mapping, form: Fields[str, str], *, now: datetime) -> dict[str, str | None]:
    """The entry's cells by the mapping's columns; when it was typed (`now`, aware) as its feeds write times."""
    spoken = mapping.spoken
    if spoken is None:
        raise ConfigurationError(f"Feed {mapping.feed} takes no spoken entries.")
    pairs = {getattr(mapping.fields, name).column: name for name in FIELDS if getattr(mapping.fields, name)}
    pairs |= {getattr(spoken, name): name for name in SPOKEN}
    cells = {column: (form.get(name) or "").strip() for column, name in pairs.items() if column is not None}
    cells[str(spoken.said_at.column)] = (form.get("said_on") or "").strip()
    cells[str(mapping.submitted_at.column)] = _typed_at(mapping, now)
    if mapping.occasion is not None:
        for name in ("id", "name", "starts_at", "ends_at"):
            column = getattr(mapping.occasion, name).column
            if column is not None:
                cells[column] = (form.get(f"occasion_{name}") or "").strip()
    return dict(cells)


def _typed_at(mapping: Mapping, now: datetime) -> str:
    """By the feed's own clock: to the second where its mapping reads that, or else the day."""
    local = now.astimezone(ZoneInfo(mapping.submitted_at.timezone))
    return local.isoformat(timespec="seconds") if _tells_seconds(mapping) else f"{local:%-d.%-m.%Y}"


def _tells_seconds(mapping: Mapping) -> bool:
    return TimeFormat.ISO in mapping.submitted_at.formats


def check_entry(session: Session, mapping: Mapping, cells: Fields[str, str | None]) -> list[Wrong]:
    """What stands against taking the entry in; empty where nothing does."""
    batch = typed_entry(mapping, cells, now=session.now, timezone=session.workspace.policy.organisation.timezone)
    raw = decode(batch.media_type, batch.payload, mapping)
    shaped = shape_batch(raw, mapping, received_at=session.now, policy=session.workspace.policy)
    faults = shaped.faults[shaped.faults["blocks"] != "rule"]
    found = [
        Wrong(f, FAULTS[code].what, FAULTS[code].remedy)
        for f, code in zip(faults["field"], faults["fault"], strict=True)
    ]
    missing = [] if any(cells.values()) and len(raw) else [Wrong("email", "The entry is empty.", "Fill it in.")]
    return missing + list(dict.fromkeys(found))


def take_entry(
    session: Session, mapping: Mapping, cells: Fields[str, str | None], *, wait_s: float = MERGE_WAIT_S
) -> Outcome:
    """Land the entry and take it in at once; the CRM is told at once of whom it withdraws.

    Where another run merges for longer than `wait_s`, the entry waits: that run takes it in, or the next.
    """
    with session.transaction() as conn:
        batch = _landed(session, conn, mapping, cells)
    try:
        with as_merger(session, wait_s=wait_s):
            apply_batches(session, [batch.batch_id])
    except StoreUnavailable as held:
        if held.sqlstate != "55P03":
            raise
        return Outcome(End.WAITS)
    with session.transaction() as conn:
        narrow_calls.call_lowered(conn, session.run_id)
        run_id = batches.run_that_read(conn, batch.batch_id)
        return replace(_outcome(conn, batch.batch_id), run_id=run_id)


def _landed(session: Session, conn: Connection, mapping: Mapping, cells: Fields[str, str | None]) -> BatchRow:
    keys, stay = session.workspace.keys, session.workspace.stay_from(session.now)
    received = _received(session, conn, mapping, cells)
    batch = batches.land_batch(conn, received, uuid4(), keys=keys, stay=stay)
    batches.reopen(conn, batch.batch_id, received, keys=keys, stay=stay)
    return batch


def _received(session: Session, conn: Connection, mapping: Mapping, cells: Fields[str, str | None]) -> ReceivedBatch:
    """The entry's batch. Said again on a day of which the feed tells no more than that, it is the next of equal ones."""
    timezone = session.workspace.policy.organisation.timezone
    made = (typed_entry(mapping, cells, now=session.now, timezone=timezone, nth=nth) for nth in count(1))
    return next(one for one in made if _tells_seconds(mapping) or batches.find_by_content(conn, one) is None)


def _outcome(conn: Connection, batch_id: UUID) -> Outcome:
    """What the batch's row says. A no of a row that is withheld, as an office's, has made its event, and counts."""
    batch, row = batches.get_batch(conn, batch_id), batches.last_outcome(conn, batch_id)
    has_event = row is not None and row.has_event
    if batch.state is BatchState.STOPPED and not has_event:
        return Outcome(End.STOPPED, (f"{batch.stop_reason} {batch.stop_remedy}",))
    if row is None:
        return Outcome(End.WAITS)
    rules = tuple(one.removeprefix("withheld:") for one in row.effects if one.startswith("withheld:"))
    if row.state in (End.WITHHELD, End.QUARANTINED) and (not has_event or row.reason == "no_living_purpose"):
        return Outcome(End(row.state), rules or (row.reason,))
    if not rules:
        return Outcome(End.COUNTS)
    return Outcome(End.PARTLY if has_event or len(rules) < len(row.effects) else End.WITHHELD, rules)
