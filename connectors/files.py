"""The drop folder: files that people and systems leave, whichever source they are of. It may lie in an object store.

A file is received on the local day of its modification time. It is taken once it has stopped growing and is whole, and
removed when its batch is durable (`acknowledge`). What is not whole stays where it is.
"""

import zipfile
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Options
from dataclasses import dataclass, field
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from time import sleep
from typing import Any
from zoneinfo import ZoneInfo

from connectors.archives import is_archive
from connectors.batches import delivered_batch
from connectors.decoders import MediaType
from connectors.drop_places import DropPlace, Look, drop_place
from connectors.manifests import LARGEST, is_manifest, lacks_proof, manifests_of
from connectors.text_encoding import why_open
from schemas.errors import BatchRefused, MappingError, SourceUnavailable
from schemas.mappings import FileShape, Mapping
from schemas.records import ReceivedBatch, Window

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_REMEDIES = {
    "cut_short": "Deliver the whole file again, under the same name.",
    "too_large": "Export a shorter time, or fewer answers, into each of several files.",
}
_MEDIA_TYPES = {"csv": MediaType.CSV, "xlsx": MediaType.XLSX, "json": MediaType.JSON}


@dataclass(frozen=True, slots=True)
class FileSettings:
    """The drop folder, the organisation's timezone, and how many seconds lie between the two looks at each file.

    `folder` may be an fsspec URL; `storage` is then what its file system is told (keys, end point).
    """

    folder: Path | str
    timezone: str = "Europe/Helsinki"
    settle_s: float = 2.0
    max_bytes: int = 100 << 20
    sleep: Callable[[float], None] = sleep
    storage: Options[str, Any] = field(default_factory=dict, repr=False)


class DroppedFiles:
    """Files of the drop folder; implements `connectors.sources.SourceConnector`."""

    def __init__(self, settings: FileSettings) -> None:
        """Raises ConfigurationError where the folder is a URL that cannot be used."""
        self._settings = settings
        self._place: DropPlace = drop_place(settings.folder, settings.storage)
        self._taken: dict[str, list[Look]] = {}

    def iter_batches(self, mapping: Mapping, window: Window, *, now: datetime) -> Iterator[ReceivedBatch]:
        """One batch per file in the folder that was modified on the window's last day or before, oldest first.

        Equal files are one batch, of the time of the oldest. Files that grow between two looks are left for the next
        run. Files that are not whole stay in the folder, and after all others were given BatchRefused (`cut_short`,
        `too_large`) says how many and why. Raises SourceUnavailable where the folder cannot be read.
        """
        refused: list[BatchRefused] = []
        given: set[str] = set()
        for look in self._settled(_shape(mapping), window.last_on):
            try:
                batch = self._receive(look, mapping, now)
            except BatchRefused as refusal:
                refused.append(refusal)
                continue
            if batch is None:
                continue
            self._taken[batch.origin] = [*(self._taken.get(batch.origin, []) if batch.origin in given else []), look]
            if batch.origin not in given:
                given.add(batch.origin)
                yield batch
        if refused:
            raise _all_refused(mapping, refused)

    def acknowledge(self, batch: ReceivedBatch) -> None:
        """Removes the files of a batch that is durable, with their manifests; a file that changed meanwhile stays."""
        for look in self._taken.pop(batch.origin, []):
            if self._place.look(look.path) == look:
                for path in (look.path, *manifests_of(look.path)):
                    self._place.remove(path)

    def _settled(self, shape: FileShape, last_on: date) -> list[Look]:
        first = self._looks(shape, last_on)
        if first:
            self._settings.sleep(self._settings.settle_s)
        return [look for look in first if self._place.look(look.path) == look]

    def _looks(self, shape: FileShape, last_on: date) -> list[Look]:
        if not self._place.is_there():
            raise SourceUnavailable(
                "The drop folder is not there. Check its setting, and that it is mounted or answers."
            )
        zone = ZoneInfo(self._settings.timezone)
        found = (look for look in self._place.looks(shape.pattern) if not is_manifest(look.name))
        looks = [look for look in found if look.modified_at.astimezone(zone).date() <= last_on]
        return sorted(looks, key=lambda look: (look.mtime_ns, look.name))

    def _receive(self, look: Look, mapping: Mapping, now: datetime) -> ReceivedBatch | None:
        """The batch of a file; None if it changed while it was read, or another run has landed it and taken it away."""
        payload = self._payload(look)
        if payload is None or self._place.look(look.path) != look:
            return None
        media_type = media_type_of(mapping)
        if reason := _why_cut(media_type, payload) or lacks_proof(
            self._manifests(look), payload, media_type=media_type, mapping=mapping
        ):
            raise _refusal("cut_short", reason)
        received_at = min(look.modified_at, now)
        return delivered_batch(mapping, media_type, payload, received_at=received_at, timezone=self._settings.timezone)

    def _payload(self, look: Look) -> bytes | None:
        if look.size > self._settings.max_bytes:
            raise _refusal("too_large", f"it is larger than {self._settings.max_bytes} bytes")
        try:
            return self._place.read(look.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceUnavailable(
                f"A dropped file cannot be read ({type(error).__name__}). Check its rights."
            ) from None

    def _manifests(self, look: Look) -> Iterator[bytes | None]:
        for path in manifests_of(look.path):
            try:
                yield self._place.read(path, LARGEST)
            except OSError:
                yield None


def _shape(mapping: Mapping) -> FileShape:
    if mapping.file is None:
        raise MappingError(f"Feed {mapping.feed} has no file: give file.type and file.pattern.")
    return mapping.file


def media_type_of(mapping: Mapping) -> MediaType:
    """What a dropped file of the feed is. MappingError where the feed is not delivered by file."""
    return _MEDIA_TYPES[_shape(mapping).type]


def _why_cut(media_type: MediaType, payload: bytes) -> str | None:
    """Why the bytes cannot be a whole file, by a look that needs no mapping; the decoder looks closer."""
    if not payload:
        return "it is empty"
    if media_type is MediaType.CSV and b"\n" not in payload[-2:]:
        return "it does not end with the end of a line"
    if media_type is MediaType.CSV and not payload.startswith(_UTF16) and (reason := why_open(payload)):
        return f"it {reason}"
    if media_type is MediaType.JSON and not is_archive(payload) and payload.rstrip()[-1:] not in (b"}", b"]"):
        return "its document is not closed"
    if media_type is MediaType.XLSX and not zipfile.is_zipfile(BytesIO(payload)):
        return "its archive is not closed"
    return None


def _refusal(code: str, reason: str) -> BatchRefused:
    return BatchRefused(code, reason, remedy=_REMEDIES[code])


def _all_refused(mapping: Mapping, refused: list[BatchRefused]) -> BatchRefused:
    reasons = "; ".join(sorted({refusal.message for refusal in refused}))
    return BatchRefused(
        refused[0].code,
        f"{len(refused)} files of feed {mapping.feed} are not whole, or too large, and stay in the drop folder: {reasons}.",
        remedy=" ".join(sorted({refusal.remedy for refusal in refused})),
    )
