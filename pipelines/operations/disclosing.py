"""Disclosure: the file that the policy allows of an event for a recipient, written down with whom it told of.

Marketing data is disclosed to nobody: no purpose that rests on consent or the soft opt-in may disclose, and none is looked
for by another name. GDPR Art. 5(2), 13(1)(e), 19, 30(1)(d).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from connectors.sealed_files import seal
from connectors.store import disclosures as store
from connectors.store.tombstones import KEY_NAME, Kind, erased_hashes, keyed_hash
from pipelines.operations.sessions import Session
from pipelines.transforms.sheets import csv_table, xlsx_table
from schemas.errors import ConfigurationError
from schemas.mappings import OccasionMap
from schemas.policy import Policy
from schemas.purposes import ANSWER, Basis, PurposePolicy

NETWORKING, PARTICIPANTS = "networking", "participants"
CONTACTS = ("email", "phone")
REFERENCE = "reference"
SINCE = " @ "
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


@dataclass(frozen=True)
class Asked:
    """Which event's participants, for whom, why, by whose word.

    `is_postponed`: an event that was over and was told again for a later day is the same one, and not another under its id.
    """

    event: str
    recipient: str
    by: str
    reason: str
    source: str | None = None
    form: str = "xlsx"
    is_postponed: bool = False


@dataclass(frozen=True)
class Disclosed:
    """What was disclosed: its id for the record, the columns, and of how many; of whom registered after an instant, where
    the event had been over before."""

    disclosure_id: UUID
    columns: list[str]
    people: int
    registered_after: datetime | None = None


def disclose(session: Session, asked: Asked, path: Path, *, passphrase: str) -> Disclosed:
    """Make the sealed file at `path`, and write it down first; ConfigurationError says why the policy does not allow it."""
    if not asked.by.strip() or not asked.reason.strip():
        raise ConfigurationError("A disclosure is by a named person and for a reason: give --by NAME and --reason.")
    name, purpose = purpose_for(session.workspace.policy, asked.recipient)
    with session.transaction() as conn:
        event = _event(session, store.find_events(conn, asked.event, asked.source), asked)
        columns = [REFERENCE, *_columns(session, event, name, purpose)]
        after = None if asked.is_postponed else event["earlier_ended_at"]
        people = store.read_participants(conn, event["occasion_pk"], name, after=after)
        session.note_read(conn, [person["contact_point_id"] for person in people])
        rows = [{REFERENCE: _reference(), **person} for person in people]
        content = _content(columns, rows, asked)
        record = store.DisclosureRecord(
            disclosure_id=uuid4(),
            source=event["source"],
            occasion_id=event["occasion_id"],
            recipient=asked.recipient,
            purpose=name,
            columns=columns,
            people=len(rows),
            reason=asked.reason,
            disclosed_by=asked.by,
            disclosed_at=session.now,
            file_hash=hashlib.sha256(content).hexdigest(),
        )
        store.record_disclosure(conn, record, [_subject(row) for row in rows])
        # Sealed within the transaction: a file that cannot be written was not disclosed, and no file is without its record.
        seal(path, f"{asked.event}-{asked.recipient}.{asked.form}", content, passphrase=passphrase)
    return Disclosed(record.disclosure_id, columns, len(rows), registered_after=after)


def purpose_for(policy: Policy, recipient: str) -> tuple[str, PurposePolicy]:
    """The one purpose under which a recipient may be given something. ConfigurationError where there is none."""
    found = [
        (name, purpose)
        for name, purpose in policy.purposes.items()
        if recipient in purpose.recipients and purpose.discloses
    ]
    if len(found) != 1:
        known = sorted({one for purpose in policy.purposes.values() if purpose.discloses for one in purpose.recipients})
        raise ConfigurationError(
            f"No purpose of the policy discloses anything to {recipient!r}; recipients are {', '.join(known)}."
            " Marketing data is disclosed to nobody."
        )
    name, purpose = found[0]
    if purpose.basis in (Basis.CONSENT, Basis.SOFT_OPT_IN) or name == "marketing":
        raise ConfigurationError("What was given for marketing is disclosed to nobody.")
    return name, purpose


def to_tell(session: Session) -> list[dict[str, Any]]:
    """Whom each recipient must be told of since their file was made, by the file's own references, and why (Art. 19).

    `listing` is what the list of a disclosure is known by when its recipient was told of it.
    """
    found = _to_tell(session)
    listings = {disclosure_id: _listing(rows) for disclosure_id, rows in _by_disclosure(found).items()}
    kept = ("disclosure_id", "recipient", "occasion_id", "disclosed_at", "reference")
    return [
        {
            **{name: row[name] for name in kept},
            "of": "; ".join(cause.split(SINCE)[0] for cause in row["causes"]),
            "listing": listings[row["disclosure_id"]],
        }
        for row in found
    ]


def mark_told(session: Session, disclosure_id: UUID, *, listing: str, by: str) -> int:
    """The recipient of a disclosure was told of what was listed; of how many.

    ConfigurationError, and nothing marked, where something came since: the recipient does not know of it.
    """
    rows = _by_disclosure(_to_tell(session)).get(disclosure_id, [])
    if listing != _listing(rows):
        raise ConfigurationError(
            "What is to be told is not what that listing said: something changed since it was listed, or it was told"
            " already. List it with --to-tell, tell the recipient of the rest, and say --told with the listing shown then."
        )
    told = [(row["reference"], _told_of(row)) for row in rows]
    with session.transaction() as conn:
        store.mark_told(conn, disclosure_id, told, by=by, at=session.now)
    return len(told)


def _told_of(row: dict[str, Any]) -> str:
    """All that the recipient was told of. An erasure stands first: after it the row may go (connectors.store.retention)."""
    causes = [*row["before"], *row["causes"]]
    return "; ".join(sorted(causes, key=lambda cause: not cause.startswith("erased")))


def _to_tell(session: Session) -> list[dict[str, Any]]:
    """Who changed since, with the `causes` that the recipient was not told of, and those `before`, of which they were."""
    with session.transaction() as conn:
        changed = store.changed_since(conn)
        hashes = erased_hashes(conn, Kind.SUBMISSION)
    keys = session.workspace.keys.all_keys(KEY_NAME) if hashes else []
    found = []
    for row in changed:
        value = f"{row['submission_source']}|{row['submission_id']}"
        is_erased = any(keyed_hash(key, Kind.SUBMISSION, value) in hashes for key in keys)
        before = [cause for cause in (row["told_of"] or "").split("; ") if cause]
        causes = [cause for cause in _causes(row, is_erased=is_erased) if cause not in before]
        if causes:
            found.append({**row, "causes": causes, "before": before})
    return found


def _by_disclosure(rows: list[dict[str, Any]]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["disclosure_id"], []).append(row)
    return found


def _listing(rows: list[dict[str, Any]]) -> str:
    """What was listed, as one short word."""
    said = "\n".join(f"{row['reference']} {cause}" for row in rows for cause in row["causes"])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _event(session: Session, found: list[dict[str, Any]], asked: Asked) -> dict[str, Any]:
    if len(found) != 1:
        what = "several sources have" if found else "there is no"
        raise ConfigurationError(f"{what.capitalize()} event {asked.event!r}. Give its id, and --source where needed.")
    event = found[0]
    maps = _forms(session, event)
    if not maps or not all(one is not None and asked.recipient in one.recipients for one in maps):
        raise ConfigurationError(
            f"The event's form does not name {asked.recipient} as a recipient: what it did not say is not disclosed."
            " List it under occasion.recipients of the feed if the form tells of it."
        )
    over_at = event["ends_at"] or event["starts_at"]
    if over_at is not None and over_at <= session.now:
        raise ConfigurationError("The event is over, and with it the purpose of the disclosure.")
    return event


def _forms(session: Session, event: dict[str, Any]) -> list[OccasionMap | None]:
    """What each form by which people registered says of the event; None of one that says nothing.

    ConfigurationError where a feed has no mapping (any more): what its form told people nobody knows.
    """
    mappings = session.workspace.mappings
    if gone := [feed for feed in event["feeds"] if feed not in mappings]:
        raise ConfigurationError(
            f"People registered by {', '.join(gone)}, of which there is no mapping: whom its form names as a recipient is not"
            " known. Put its file back under config/sources."
        )
    return [mappings[feed].occasion for feed in event["feeds"]]


def _columns(session: Session, event: dict[str, Any], name: str, purpose: PurposePolicy) -> list[str]:
    columns = list(purpose.discloses)
    if name == NETWORKING:
        shares = all(one is not None and one.shares_contacts for one in _forms(session, event))
        columns = [column for column in columns if column not in CONTACTS] + (list(CONTACTS) if shares else [])
    return columns


def _content(columns: list[str], rows: list[dict[str, Any]], asked: Asked) -> bytes:
    cells = [[_cell(row, column) for column in columns] for row in rows]
    if asked.form == "csv":
        return csv_table(columns, cells)
    return xlsx_table(columns, cells, title=asked.recipient)


def _cell(row: dict[str, Any], column: str) -> str | None:
    if column.startswith(ANSWER):
        answer = row["answers"].get(column.removeprefix(ANSWER))
        return None if answer is None else str(answer)
    value = row[column]
    return None if value is None else str(value)


def _subject(row: dict[str, Any]) -> dict[str, Any]:
    kept = (REFERENCE, "source", "submission_id", "subject_id", "contact_point_id", "content_hash")
    return {name: row[name] for name in kept}


def _reference() -> str:
    """What the file calls a person by, and nobody else: it is in no other file and made of nothing."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _causes(row: dict[str, Any], *, is_erased: bool) -> list[str]:
    """Why the recipient is to be told; what can come again with since when, or what it came to, after SINCE."""
    causes = ["erased"] if is_erased else []
    if row["status"] in ("cancelled", "deleted"):
        causes.append(f"registration {row['status']}")
    if row["restricted_at"]:
        causes.append(f"restricted{SINCE}{row['restricted_at'].isoformat()}")
    corrected_at = row["corrected_at"] and row["corrected_at"].isoformat()
    if came_to := [str(one) for one in (row["changed_hash"], row["moved_to"], corrected_at) if one]:
        causes.append(f"rectified{SINCE}{' '.join(came_to)}")
    if row["lowered_at"]:
        causes.append(f"withdrawn or objected: {row['purpose']}{SINCE}{row['lowered_at'].isoformat()}")
    return causes
