"""A look at the drop folder without taking anything: which whole-looking files lie there for which feed, since when.

Says nothing of a file's name, which may be a person's; a file is told by a hash of its name, size and time.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.manifests import is_manifest
from schemas.mappings import Mapping


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file of a source that has not changed since `modified_at` (UTC); `look` is other once it does change."""

    source: str
    modified_at: datetime
    look: str
    path: Path

    def content_hash(self) -> str:
        """SHA-256 of what it holds; '' where it is gone by now."""
        try:
            with self.path.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError:
            return ""


def settled_files(folder: Path, mappings: Iterable[Mapping], *, before: datetime) -> list[SettledFile]:
    """The files of any feed last modified before an instant, oldest first; none where the folder is not there."""
    found = [
        settled
        for mapping in mappings
        if mapping.file is not None
        for path in sorted(folder.glob(mapping.file.pattern))
        if (settled := _settled(path, str(mapping.source), before)) is not None
    ]
    return sorted(found, key=lambda file: (file.modified_at, file.look))


def _settled(path: Path, source: str, before: datetime) -> SettledFile | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    modified_at = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
    if is_manifest(path) or path.is_symlink() or not path.is_file() or modified_at > before:
        return None
    look = hashlib.sha256(f"{path.name}|{status.st_size}|{status.st_mtime_ns}".encode()).hexdigest()[:16]
    return SettledFile(source, modified_at, look, path)
