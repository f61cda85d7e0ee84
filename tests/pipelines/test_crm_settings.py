"""The CRM's client as the settings build it."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.mappings import load_policy
from pipelines.operations.workspace import dataverse_client
from pipelines.settings import load_settings
from schemas.errors import ConfigurationError
from tests.feeds import CONFIG

CRM = {"dataverse_url": "https://org.crm4.dynamics.com", "dataverse_tenant": "t"}


def users_of(**given: Any) -> int:
    client = dataverse_client(load_settings(**CRM, **given), load_policy(CONFIG))
    client.close()
    return len(client.gates)


def test_a_machine_needs_no_client_id_and_no_secret() -> None:
    assert users_of(dataverse_managed_identity=True) == 1


def test_further_users_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text(json.dumps([{"client_id": name, "client_secret": "s"} for name in ("b", "c")]))
    given = {"dataverse_client_id": "a", "dataverse_client_secret": "s", "dataverse_users_path": path}
    assert users_of(**given) == 3
    path.write_text(json.dumps([{"client_id": "a", "client_secret": "s"}]))
    with pytest.raises(ConfigurationError):
        users_of(**given)


@pytest.mark.parametrize("bypass", ["CustomSync", "CustomSync, CustomAsync", "CustomAsync,CustomSync", ""])
def test_bypassing_logic_is_a_list_with_commas(bypass: str) -> None:
    assert users_of(dataverse_managed_identity=True, dataverse_bypass_logic=bypass, dataverse_suppress_flows=True) == 1


def test_bypassing_anything_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="CustomSync"):
        users_of(dataverse_managed_identity=True, dataverse_bypass_logic="All")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="INTAKE_DATAVERSE_CLIENT_ID"):
        users_of()
    with pytest.raises(ConfigurationError, match="INTAKE_DATAVERSE_MANAGED_IDENTITY"):
        users_of(dataverse_client_id="a")
