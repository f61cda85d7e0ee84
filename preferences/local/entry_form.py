"""Manual entries: what somebody said by e-mail, phone or in person, typed in by staff, held to its evidence at the door.

An entry becomes a batch of the manual feed like any other, but only if it would be taken in as it stands: one that lacks
who, when, how or the words of a yes, or that names neither an event nor a purpose, is told so and kept nowhere.
"""

from collections.abc import Mapping as Fields
from dataclasses import dataclass
from uuid import uuid4

from connectors.decoders import decode
from connectors.manual import typed_entry
from connectors.store import batches
from pipelines.operations.intake import apply_batches
from pipelines.operations.merging import as_merger
from pipelines.operations.sessions import Session
from pipelines.transforms.shape import shape_batch
from schemas.errors import ConfigurationError
from schemas.faults import FAULTS
from schemas.mappings import Mapping, Source

FIELDS = ("email", "given_name", "family_name", "phone", "organisation")
SPOKEN = ("purpose", "topic", "decision", "collected_by", "method", "wording")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one field of an entry, in words; the value is not repeated."""

    field: str
    what: str
    remedy: str


def manual_mapping(session: Session) -> Mapping:
    """The first manual feed that takes typed entries. ConfigurationError where there is none."""
    for mapping in session.workspace.mappings.values():
        if mapping.source is Source.MANUAL and mapping.spoken is not None:
            return mapping
    raise ConfigurationError("No manual feed is mapped. Put config/sources/manual_entries.yaml back.")


def cells_of(mapping: Mapping, form: Fields[str, str], *, today: str) -> dict[str, str | None]:
    """The entry's cells by the mapping's columns; dates as its feeds write them."""
    spoken = mapping.spoken
    if spoken is None:
        raise ConfigurationError(f"Feed {mapping.feed} takes no spoken entries.")
    pairs = {getattr(mapping.fields, name).column: name for name in FIELDS if getattr(mapping.fields, name)}
    pairs |= {getattr(spoken, name): name for name in SPOKEN}
    cells = {column: (form.get(name) or "").strip() for column, name in pairs.items() if column is not None}
    cells[str(spoken.said_at.column)] = (form.get("said_on") or "").strip()
    cells[str(mapping.submitted_at.column)] = today
    if mapping.occasion is not None:
        for name in ("id", "name", "starts_at", "ends_at"):
            column = getattr(mapping.occasion, name).column
            if column is not None:
                cells[column] = (form.get(f"occasion_{name}") or "").strip()
    return dict(cells)


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


def take_entry(session: Session, mapping: Mapping, cells: Fields[str, str | None]) -> None:
    """Land the entry and take it in at once; a withdrawal in it goes out with the next synchronisation."""
    workspace = session.workspace
    received = typed_entry(mapping, cells, now=session.now, timezone=workspace.policy.organisation.timezone)
    keys, stay = workspace.keys, workspace.stay_from(session.now)
    with session.transaction() as conn:
        batch = batches.land_batch(conn, received, uuid4(), keys=keys, stay=stay)
        batches.reopen(conn, batch.batch_id, received, keys=keys, stay=stay)
    with as_merger(session):
        apply_batches(session, [batch.batch_id])
