"""What a directory keeps about its emulator from one start to the next: port, default secret, token key."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .options import CLIENT_ID, ClientOptions, EmulatorOptions


@dataclass(frozen=True)
class Identity:
    """`port` is None until a socket was bound once."""

    port: int | None
    client_secret: str
    token_key: str


def load_identity(directory: Path) -> Identity:
    """The identity in the directory, made and kept there if it has none."""
    path = directory / "emulator.json"
    if path.exists():
        return Identity(**json.loads(path.read_text()))
    identity = Identity(None, secrets.token_urlsafe(24), secrets.token_hex(32))
    save_identity(directory, identity)
    return identity


def save_identity(directory: Path, identity: Identity) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "emulator.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(identity)))


def with_default_client(options: EmulatorOptions, identity: Identity) -> EmulatorOptions:
    """The options with one application user where they name none."""
    if options.clients:
        return options
    return replace(options, clients=(ClientOptions(CLIENT_ID, identity.client_secret),))
