"""The secrets of the door's machines: webhooks by feed, and the consent provider; a JSON file closed to others.

{"webhooks": {"FEED": {"engine": "drupal", "secrets": ["new", "old"]}}, "consent_provider": ["new", "old"]}
At most two secrets of each are alive, so that one can be changed without a gap.
"""

import json
from collections.abc import Mapping as AnyMapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from schemas.errors import ConfigurationError
from schemas.mappings import Mapping

Secret = Annotated[SecretStr, Field(min_length=16)]
Secrets = Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]


class Webhook(BaseModel):
    """How one feed's deliveries are told from others'. `window_s` bounds the age of a signed time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Literal["drupal", "typeform", "json"]
    secrets: Secrets
    window_s: int = Field(default=300, ge=1, le=3600)


class DoorSecrets(BaseModel):
    """What the file holds; without a file there are no webhooks and no consent provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhooks: dict[str, Webhook] = Field(default_factory=dict)
    consent_provider: Annotated[tuple[Secret, ...], Field(max_length=2)] = ()


def load_door_secrets(path: Path | None, mappings: AnyMapping[str, Mapping]) -> DoorSecrets:
    """Read the file; ConfigurationError says what is wrong in it, never a secret."""
    if path is None:
        return DoorSecrets()
    if not path.exists():
        raise ConfigurationError(f"INTAKE_DOORS_PATH: there is no file {path}.")
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path} is open to other users: chmod 600 it, and change the secrets in it.")
    try:
        found = DoorSecrets.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as invalid:
        faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in invalid.errors(include_input=False)]
        raise ConfigurationError(f"{path}: {'; '.join(faults)}.") from None
    except ValueError:
        raise ConfigurationError(f"{path} is not JSON.") from None
    if unknown := sorted(set(found.webhooks) - set(mappings)):
        raise ConfigurationError(f"{path}: no mapping for {', '.join(unknown)}. Write config/sources/NAME.yaml first.")
    return found
