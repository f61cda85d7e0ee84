"""Dropped files that lie in an object store or on a server, read by fsspec (https://filesystem-spec.readthedocs.io).

Keys come from the options that are given, or from what fsspec and the store's own client find by themselves (FSSPEC_S3_KEY,
a machine's role). A store's own words are not repeated: they may quote addresses and keys.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fsspec

from connectors.drop_places import Look
from schemas.errors import ConfigurationError, SourceUnavailable

_ETAGS = ("ETag", "etag", "md5Hash", "content_md5")


@dataclass(frozen=True, slots=True)
class RemoteDrop:
    """A location by fsspec. Implements `connectors.drop_places.DropPlace`; nothing is taken from a kept listing."""

    files: Any
    root: str

    def is_there(self) -> bool:
        """An object store has no folders: there the bucket is what must be there."""
        bucket = self.root if self.root.startswith("/") else self.root.split("/", 1)[0]
        with _told():
            self.files.invalidate_cache()
            return bool(self.files.exists(bucket))

    def looks(self, pattern: str) -> Iterator[Look]:
        """Each file is asked for by itself: stores state times more finely in listings than for one object."""
        with _told():
            self.files.invalidate_cache()
            found = list(self.files.glob(f"{self.root.rstrip('/')}/{pattern}"))
        looks = (self.look(path) for path in found)
        return (look for look in looks if look is not None)

    def look(self, path: str) -> Look | None:
        with _told():
            self.files.invalidate_cache()
            try:
                return self._look_of(path, self.files.info(path))
            except FileNotFoundError:
                return None

    def read(self, path: str, most: int | None = None) -> bytes:
        with _told():
            return bytes(self.files.cat_file(path, end=most))

    def remove(self, path: str) -> None:
        with _told():
            try:
                self.files.rm_file(path)
            except FileNotFoundError:
                return

    def _look_of(self, path: str, status: Mapping[str, Any]) -> Look | None:
        if status["type"] != "file" or status.get("islink"):
            return None
        try:
            modified = self.files.modified(path)
        except FileNotFoundError:
            return None
        etag = next((str(status[name]) for name in _ETAGS if status.get(name)), "")
        return Look(path, int(status["size"]), _nanoseconds(modified), etag)


def remote_drop(url: str, options: Mapping[str, Any]) -> RemoteDrop:
    """The location of a URL. ConfigurationError for a kind that is unknown or not installed, or options that misfit."""
    try:
        files, root = fsspec.url_to_fs(url, **options)
    except ImportError:
        raise ConfigurationError(
            "INTAKE_DROP_DIR: the client of this kind of location is not installed. For s3, in the project's folder:"
            " .uv/bin/uv sync --locked --extra s3"
        ) from None
    except (ValueError, TypeError):
        raise ConfigurationError(
            "INTAKE_DROP_DIR is of no known kind, or INTAKE_DROP_STORAGE does not fit it. See fsspec's list of both."
        ) from None
    if type(files).modified is fsspec.AbstractFileSystem.modified:
        raise ConfigurationError("INTAKE_DROP_DIR: this kind of location does not tell when a file was changed.")
    return RemoteDrop(files, str(root))


def _nanoseconds(modified: datetime) -> int:
    aware = modified if modified.tzinfo else modified.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000_000) * 1000


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError("A dropped file is gone.") from None
    except Exception as error:  # noqa: BLE001 - each store's client has its own errors, whose words may quote keys
        raise SourceUnavailable(
            f"The drop location cannot be used ({type(error).__name__}). Check INTAKE_DROP_DIR, INTAKE_DROP_STORAGE and "
            "the rights: list, read and remove."
        ) from None
