"""Settings: what they refuse, what they derive, and that they never show a secret."""

from pathlib import Path
from typing import Any

import pytest

from connectors.dataverse import ClientCertificate, ClientSecret, DataverseSettings
from schemas.errors import ConfigurationError


def make(**changes: Any) -> DataverseSettings:
    values = {
        "base_url": "https://org.crm4.dynamics.com/",
        "tenant": "t",
        "client_id": "app",
        "credential": ClientSecret("hidden"),
    }
    return DataverseSettings(**{**values, **changes})


def test_urls_are_derived_from_the_base() -> None:
    settings = make()
    assert settings.origin == "https://org.crm4.dynamics.com"
    assert settings.api_path == "/api/data/v9.2/"
    assert settings.scope == "https://org.crm4.dynamics.com/.default"
    assert settings.authority_url == "https://login.microsoftonline.com/t"
    assert settings.has_microsoft_authority


def test_an_authority_with_a_tenant_is_taken_as_it_is() -> None:
    settings = make(authority="https://localhost:8443/tenant-1")
    assert settings.authority_url == "https://localhost:8443/tenant-1"
    assert not settings.has_microsoft_authority


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "http://org.crm4.dynamics.com"},
        {"authority": "http://login.example.org"},
        {"chunk_rows": 0},
        {"chunk_rows": 1001},
        {"max_parallelism": 0},
        {"attempts": 0},
        {"bypass_logic": ("All",)},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        make(**changes)


def test_secrets_are_not_shown() -> None:
    certificate = ClientCertificate(Path("key.pem"), passphrase="hidden")
    assert "hidden" not in repr(make()) + repr(make(credential=certificate))
