"""Where files are dropped: a folder of this machine, or a location in an object store or on a server, by fsspec.

Both show the same: files that match a pattern, how each was at one look, its bytes, and its removal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError

# What sends files in the clear, or cannot remove what was taken.
_UNFIT = frozenset({"ftp", "http", "https", "data", "github"})
_SETTING = "INTAKE_DROP_DIR"


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was at one look. Equal looks are one state of one file; `etag` is '' where the place has none."""

    path: str
    size: int
    mtime_ns: int
    etag: str = ""

    @property
    def name(self) -> str:
        """The last part of its path; it may be a person's, so it is never told."""
        return PurePosixPath(self.path).name

    @property
    def modified_at(self) -> datetime:
        """UTC."""
        return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)


class DropPlace(Protocol):
    """A place that files are dropped in. Every method may raise OSError; a remote one raises SourceUnavailable too."""

    def is_there(self) -> bool:
        """Whether the place itself can be reached; an empty one is there."""
        ...

    def looks(self, pattern: str) -> Iterator[Look]:
        """The files that match, in no order; no folders, no links."""
        ...

    def look(self, path: str) -> Look | None:
        """The file as it is now; None for what is gone, and for folders and links."""
        ...

    def read(self, path: str, most: int | None = None) -> bytes:
        """Its bytes, at most so many from the start. FileNotFoundError where it is gone."""
        ...

    def remove(self, path: str) -> None:
        """Does nothing where it is gone already."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder of this machine. Implements `DropPlace`."""

    folder: Path

    def is_there(self) -> bool:
        return self.folder.is_dir()

    def looks(self, pattern: str) -> Iterator[Look]:
        found = (self.look(str(path)) for path in self.folder.glob(pattern))
        return (look for look in found if look is not None)

    def look(self, path: str) -> Look | None:
        """A link could lead anywhere, so it is none."""
        try:
            status = Path(path).lstat()
        except OSError:
            return None
        is_file = Path(path).is_file() and not Path(path).is_symlink()
        return Look(path, status.st_size, status.st_mtime_ns) if is_file else None

    def read(self, path: str, most: int | None = None) -> bytes:
        with Path(path).open("rb") as file:
            return file.read(-1 if most is None else most)

    def remove(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)


def drop_place(location: Path | str, options: Mapping[str, Any]) -> DropPlace:
    """The place of a path, or of an fsspec URL with the options of its file system (keys, end points).

    `file://` is a folder of this machine. Raises ConfigurationError, without the URL, for one that carries secrets, is
    chained, has a pattern in it, or is of a kind that is unknown, not installed or unfit.
    """
    if isinstance(location, Path) or "://" not in location:
        return LocalFolder(Path(location))
    _refuse_unfit(location)
    if location.startswith(("file://", "local://")):
        return LocalFolder(Path(location.split("://", 1)[1]))
    from connectors.remote_drops import remote_drop

    return remote_drop(location, options)


def _refuse_unfit(url: str) -> None:
    kind = url.split("://", 1)[0]
    if "::" in url or any(sign in url for sign in "*?[]{}#"):
        raise ConfigurationError(f"{_SETTING}: give one plain URL, without ::, patterns, query or fragment.")
    if "@" in urlsplit(url).netloc and kind not in ("abfs", "abfss"):
        raise ConfigurationError(f"{_SETTING}: no user or secret in the URL. Give them in INTAKE_DROP_STORAGE.")
    if kind in _UNFIT:
        raise ConfigurationError(
            f"{_SETTING}: {kind} is unfit, it is unencrypted or read only. Use s3, sftp or a path."
        )
