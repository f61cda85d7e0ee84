"""Copies of the ledger: written out as JSON lines under a signature, and brought in again, which changes nothing.

A copy holds people's data. Only a copy that a key of this ring signed is taken, whole and as it was written, so that
nobody can write themselves a consent; bringing it into an empty store gives the same states.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection

from connectors.new_files import new_file
from connectors.store.acts import append_acts
from connectors.store.ledger_copies import iter_lines, known_keys
from connectors.store.tombstones import erased_at
from pipelines.operations.acts import fold_request
from pipelines.operations.ledger import is_signed, sign_text
from pipelines.operations.sessions import Session
from pipelines.transforms.identity import resolve_subjects
from pipelines.transforms.row_ids import row_id
from schemas.errors import ConfigurationError

_ROWS = 1000
_NOT_WRITTEN = ("contact_point_id",)


def export_ledger(session: Session, path: Path) -> int:
    """Write every event with its evidence to a new file that only its owner can read; returns how many.

    ConfigurationError where the file is there already. Events whose evidence was erased, and void ones, are not in it.
    """
    digest, count = hashlib.sha256(), 0
    with new_file(path) as file, session.transaction() as conn:
        for rows in iter_lines(conn, rows=_ROWS):
            count += len(rows)
            session.note_read(conn, list({row["contact_point_id"] for row in rows}))
            lines = b"".join(_line(row) for row in rows)
            digest.update(lines)
            file.write(lines)
        file.write(orjson.dumps({"events": count, **sign_text(session, digest.hexdigest())}) + b"\n")
    return count


def import_ledger(session: Session, path: Path) -> Counter[str]:
    """Append the events of a copy that are not known; counts of `added`, `known` and `erased`.

    All or nothing. ConfigurationError where the copy was changed, cut short, or signed by no key of the ring.
    """
    counts: Counter[str] = Counter()
    _require_whole(session, path)
    with session.transaction() as conn:
        for lines in _chunks(path):
            _append(session, conn, lines, counts)
    return counts


def _line(row: dict[str, Any]) -> bytes:
    told = {name: value for name, value in row.items() if name not in _NOT_WRITTEN and value is not None}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS) + b"\n"


def _require_whole(session: Session, path: Path) -> None:
    digest, last, count = hashlib.sha256(), b"", 0
    with path.open("rb") as file:
        for line in file:
            if last:
                digest.update(last)
                count += 1
            last = line
    try:
        seal = orjson.loads(last)
        is_whole = seal["events"] == count and is_signed(session, digest.hexdigest(), seal)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise ConfigurationError(
            f"{path.name} is not a whole copy as it was written and signed here; nothing was taken."
        )


def _chunks(path: Path) -> Iterator[list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    with path.open("rb") as file:
        for line in file:
            lines.append(orjson.loads(line))
            if len(lines) == _ROWS:
                yield lines
                lines = []
    yield [line for line in lines if "event_key" in line]


def _append(session: Session, conn: Connection, lines: Sequence[dict[str, Any]], counts: Counter[str]) -> None:
    told = [line for line in lines if "event_key" in line]
    known = known_keys(conn, [line["event_key"] for line in told], [line.get("occurred_at") for line in told])
    unknown = [line for line in told if line["event_key"] not in known]
    new = [line for line in unknown if not _is_erased(session, conn, line)]
    counts.update({"known": len(told) - len(unknown), "erased": len(unknown) - len(new)})
    if not new:
        return
    wordings = {line["wording_hash"]: line for line in new if line.get("wording")}
    request = fold_request(session, [_wording(line) for line in wordings.values()])
    salt = UUID(bytes=session.workspace.keys.current("guid_salt").secret[:16])
    rows = [_row(line, row_no, salt) for row_no, line in enumerate(new, 1)]
    decisions = [_decision(line, row_no) for row_no, line in enumerate(new, 1)]
    append_acts(conn, request, rows=rows, decisions=decisions, resolve=resolve_subjects, is_copy=True)
    counts["added"] += len(new)


def _is_erased(session: Session, conn: Connection, line: dict[str, Any]) -> bool:
    # Of somebody who was erased at a shared address a withdrawal would bring the name back, too: for the others there it does
    # not count since.
    gone_at = erased_at(
        conn,
        line["address_key"],
        session.workspace.keys,
        given_key=line.get("given_key"),
        submission=(line["source"], line["submission_id"]) if line.get("submission_id") else None,
    )
    return gone_at is not None and (line.get("occurred_at") or line["received_at"]) <= gone_at.isoformat()


def _row(line: dict[str, Any], row_no: int, salt: UUID) -> dict[str, Any]:
    names = ("source", "submission_id", "address", "address_key", "is_role_address", "given_key", "received_at")
    return {
        **{name: line.get(name) for name in (*names, "given_name", "family_name")},
        "row_no": row_no,
        "maker_id": str(row_id(salt, f"{line['source']}|{line.get('submission_id')}")),
        "submitted_from": line.get("occurred_at"),
        "version_at": line["effective_at"],
        "has_ground": line["value"] == "grant",
        "withdraws": line["value"] != "grant",
    }


def _decision(line: dict[str, Any], row_no: int) -> dict[str, Any]:
    return {**line, "row_no": row_no, "topic": line.get("topic") or None, "imported_key": line["event_key"]}


def _wording(line: dict[str, Any]) -> dict[str, str]:
    told = {"text": line["wording"], "language": line["language"], "version": line["wording_version"]}
    return {"wording_hash": line["wording_hash"], **told}
