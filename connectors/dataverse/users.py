"""Further application users, from a JSON file: a list of objects, each with a client id and one way to prove it.

    [{"client_id": "…", "client_secret": "…"},
     {"client_id": "…", "private_key_path": "key.pem", "certificate_path": "certificate.pem", "passphrase": "…"},
     {"client_id": "…", "managed_identity": true}]

Relative paths are taken from the file's folder. The file holds secrets: keep it readable for its owner only.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError, model_validator

from connectors.dataverse.settings import (
    ApplicationUser,
    ClientCertificate,
    ClientSecret,
    Credential,
    ManagedIdentity,
)
from schemas.errors import ConfigurationError


class _User(BaseModel):
    """One object of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    client_id: str
    client_secret: SecretStr | None = None
    private_key_path: Path | None = None
    certificate_path: Path | None = None
    passphrase: SecretStr | None = None
    managed_identity: bool = False

    @model_validator(mode="after")
    def _has_one_credential(self) -> "_User":
        given = [self.client_secret is not None, self.private_key_path is not None, self.managed_identity]
        if sum(given) != 1:
            raise ValueError("give one of client_secret, private_key_path and managed_identity")
        return self

    def credential(self, folder: Path) -> Credential:
        if self.client_secret is not None:
            return ClientSecret(self.client_secret.get_secret_value())
        if self.private_key_path is None:
            return ManagedIdentity(self.client_id)
        certificate_path = folder / self.certificate_path if self.certificate_path else None
        passphrase = self.passphrase.get_secret_value() if self.passphrase else None
        return ClientCertificate(folder / self.private_key_path, certificate_path, passphrase)


_USERS = TypeAdapter(list[_User])


def load_users(path: Path) -> tuple[ApplicationUser, ...]:
    """The users of a file in its order; `ConfigurationError` names the place that is wrong, never a value."""
    try:
        users = _USERS.validate_json(path.read_bytes())
    except OSError:
        raise ConfigurationError(f"{path} cannot be read. Remedy: check INTAKE_DATAVERSE_USERS_PATH.") from None
    except ValidationError as invalid:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
            for fault in invalid.errors(include_input=False, include_url=False)
        ]
        raise ConfigurationError(f"{path}: {'; '.join(faults)}.") from None
    return tuple(ApplicationUser(user.client_id, user.credential(path.parent)) for user in users)
