"""A look at the drop folder without taking anything: which whole-looking files lie there for which feed, since when.

Says nothing of a file's name, which may be a person's; a file is told by a hash of its name, size and time.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from connectors.drop_places import DropPlace, Look
from connectors.manifests import is_manifest
from schemas.mappings import Mapping


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file of a source that has not changed since `modified_at` (UTC); `look` is other once it does change."""

    source: str
    modified_at: datetime
    look: str
    path: str
    place: DropPlace

    def content_hash(self) -> str:
        """SHA-256 of what it holds; '' where it is gone by now."""
        try:
            return hashlib.sha256(self.place.read(self.path)).hexdigest()
        except OSError:
            return ""


def settled_files(place: DropPlace, mappings: Iterable[Mapping], *, before: datetime) -> list[SettledFile]:
    """The files of any feed last modified before an instant, oldest first; none where the folder is not there."""
    found = [
        _settled(look, str(mapping.source), place)
        for mapping in mappings
        if mapping.file is not None
        for look in sorted(place.looks(mapping.file.pattern), key=lambda look: look.path)
        if not is_manifest(look.name) and look.modified_at <= before
    ]
    return sorted(found, key=lambda file: (file.modified_at, file.look))


def _settled(look: Look, source: str, place: DropPlace) -> SettledFile:
    told = "|".join([look.name, str(look.size), str(look.mtime_ns), *([look.etag] if look.etag else [])])
    return SettledFile(source, look.modified_at, hashlib.sha256(told.encode()).hexdigest()[:16], look.path, place)
