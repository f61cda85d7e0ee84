"""The key ring: secrets in files of their own, outside the database and its dumps.

One file per key, `NAME-NUMBER.key`, in a directory closed to others. The highest number is current; older keys stay, to
read what was made with them. A key's id carries a fingerprint, so that a ring put back wrongly is noticed.
"""

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import ConfigurationError

# landing: wraps batches' data keys. guid_salt: makes CRM row ids. ledger: makes events' keys.
# certificate: signs what retention certifies. tombstone: hashes what was erased. link: signs preference links.
# ledger_head: signs the heads of the ledger's hash chain.
KEY_NAMES = ("landing", "guid_salt", "ledger", "ledger_head", "tombstone", "link", "certificate")
# What is made under these would be made a second time under others.
UNROTATABLE = {
    "guid_salt": "The GUID salt never rotates: CRM rows already made would be made again.",
    "ledger": "The ledger's key never rotates: consent events already known would be made again.",
}
_BYTES = 32
_FILE = re.compile(r"(?P<name>[a-z_]+)-(?P<number>[0-9]{4})\.key\Z")


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes and the id it is found by again; the secret is not in its repr."""

    key_id: str
    secret: bytes = field(repr=False)


class KeyRing:
    """The keys under one directory; made on first use, safe for several processes at once.

    The directory is 0700 and each file 0600; wider permissions are refused. It needs a backup apart from the
    database's: without the landing key no batch, without the tombstone key no erasure can be recognised again.
    `before_first` is told each name of which the first key is about to be made, and may refuse.
    """

    def __init__(self, directory: Path, *, before_first: Callable[[str], None] | None = None) -> None:
        self.directory = directory
        self._before_first = before_first

    def current(self, name: str) -> Key:
        """The newest key of that name, made if there is none."""
        numbers = self._numbers(name)
        if not numbers:
            if self._before_first is not None:
                self._before_first(name)
            self._make(name, 1)
            numbers = self._numbers(name)
        return self._read(name, numbers[-1])

    def by_id(self, name: str, key_id: str) -> Key:
        """The key that carried this id when it was used; ConfigurationError if the ring has no such key."""
        found = next((key for key in self.all_keys(name) if key.key_id == key_id), None)
        if found is None:
            raise ConfigurationError(f"Key {key_id} is not in the ring {self.directory}; put back its backup.")
        return found

    def all_keys(self, name: str) -> list[Key]:
        """Every key of that name, oldest first; empty where none was made yet."""
        return [self._read(name, number) for number in self._numbers(name)]

    def rotate(self, name: str) -> Key:
        """A new current key. The GUID salt never rotates: rows in the CRM would be made a second time."""
        if name in UNROTATABLE:
            raise ConfigurationError(UNROTATABLE[name])
        while True:
            number = max(self._numbers(name), default=0) + 1
            if self._make(name, number):
                return self._read(name, number)

    def _numbers(self, name: str) -> list[int]:
        if name not in KEY_NAMES:
            raise ConfigurationError(f"There is no key called {name!r}; there are {', '.join(KEY_NAMES)}.")
        if not self.directory.exists():
            return []
        self._require_closed(self.directory)
        matches = (_FILE.match(path.name) for path in self.directory.iterdir())
        return sorted(int(match["number"]) for match in matches if match and match["name"] == name)

    def _path(self, name: str, number: int) -> Path:
        return self.directory / f"{name}-{number:04d}.key"

    def _read(self, name: str, number: int) -> Key:
        path = self._path(name, number)
        self._require_closed(path)
        try:
            secret = bytes.fromhex(path.read_text())
        except ValueError:
            secret = b""
        if len(secret) != _BYTES:
            raise ConfigurationError(f"{path} does not hold a key; put back its backup.")
        fingerprint = hashlib.sha256(b"crm-intake key id" + secret).hexdigest()[:8]
        return Key(f"{name}-{number:04d}-{fingerprint}", secret)

    def _make(self, name: str, number: int) -> bool:
        """Writes a new key, whole and durable before it has its name; False where another process made that one first."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._unnamed(secrets.token_hex(_BYTES)) as unnamed:
                try:
                    os.link(unnamed, self._path(name, number))
                except FileExistsError:
                    return False
            _synced(self.directory)
        except OSError as error:
            raise ConfigurationError(
                f"The key ring {self.directory} cannot be written ({error.strerror}), where a {name} key was to be made."
                " Make it where it can be, by `crm-intake keys make` or `keys rotate`, and put it there."
            ) from None
        return True

    @contextmanager
    def _unnamed(self, content: str) -> Iterator[str]:
        handle, path = tempfile.mkstemp(dir=self.directory, prefix=".new-")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    @staticmethod
    def _require_closed(path: Path) -> None:
        if path.stat().st_mode & 0o077:
            mode = "700" if path.is_dir() else "600"
            raise ConfigurationError(
                f"{path} is open to other users: chmod {mode} it, and rotate the keys if they may be known."
            )


def _synced(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
