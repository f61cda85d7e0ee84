"""The journal of erasures: a file outside the database, so that an older backup of it does not bring anybody back.

One JSON object a line, each with the hash of the one before it. An entry holds tombstones and no person: keyed hashes,
key ids, purposes, the date. It is written, and on disk, before the database forgets.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from connectors.store.tombstones import Kind, Tombstone
from schemas.errors import ConfigurationError

_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One erasure; `entry_hash` binds it to all entries before it."""

    erasure_id: UUID
    erased_at: datetime
    tombstones: tuple[Tombstone, ...]
    entry_hash: str


class ErasureJournal:
    """The journal at a path; nothing is made before the first entry. One writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, erasure_id: UUID, erased_at: datetime, tombstones: Sequence[Tombstone]) -> JournalEntry:
        """Write an erasure down, durably. ConfigurationError where the journal so far is broken."""
        before = self.last_hash() or _FIRST
        body = _body(erasure_id, erased_at, tombstones)
        entry_hash = _hash(before, body)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, orjson.dumps({**body, "before": before, "hash": entry_hash}) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        return JournalEntry(erasure_id, erased_at, tuple(tombstones), entry_hash)

    def entries(self) -> list[JournalEntry]:
        """Every entry, oldest first; ConfigurationError names the first line that is not as it was written."""
        return list(self._entries())

    def last_hash(self) -> str | None:
        """The hash of the newest entry; None where there is none."""
        entries = self.entries()
        return entries[-1].entry_hash if entries else None

    def noted_run(self) -> UUID | None:
        """The last run that was noted beside the journal; None where none was."""
        return UUID(self._note.read_text()) if self._note.exists() else None

    def note_run(self, run_id: UUID | None) -> None:
        """Note the last run that changed the CRM, or that there is none to know of."""
        if run_id is None:
            self._note.unlink(missing_ok=True)
            return
        self._note.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._note.with_suffix(".new")
        fresh.write_text(str(run_id))
        fresh.replace(self._note)

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".run")

    def _entries(self) -> Iterator[JournalEntry]:
        before = _FIRST
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        for number, line in enumerate(lines, 1):
            entry = self._read(line, number, before)
            yield entry
            before = entry.entry_hash

    def _read(self, line: bytes, number: int, before: str) -> JournalEntry:
        try:
            told = orjson.loads(line)
            body = {name: told[name] for name in ("erasure_id", "erased_at", "tombstones")}
            if told["before"] == before and told["hash"] == _hash(before, body):
                stones = tuple(_tombstone(stone, told["erased_at"]) for stone in body["tombstones"])
                return JournalEntry(
                    UUID(told["erasure_id"]), datetime.fromisoformat(told["erased_at"]), stones, told["hash"]
                )
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            pass
        raise ConfigurationError(
            f"The journal of erasures {self.path} is broken at line {number}; put back its backup."
        )


def _body(erasure_id: UUID, erased_at: datetime, tombstones: Sequence[Tombstone]) -> dict[str, Any]:
    stones = [[str(s.kind), s.key_hash.hex(), s.key_id, s.purpose] for s in tombstones]
    return {"erasure_id": str(erasure_id), "erased_at": erased_at.isoformat(), "tombstones": stones}


def _tombstone(stone: list[str], erased_at: str) -> Tombstone:
    kind, key_hash, key_id, purpose = stone
    return Tombstone(Kind(kind), bytes.fromhex(key_hash), key_id, datetime.fromisoformat(erased_at), purpose)


def _hash(before: str, body: dict[str, Any]) -> str:
    return hashlib.sha256(before.encode() + orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
