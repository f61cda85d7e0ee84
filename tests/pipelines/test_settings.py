"""Settings: one document names each variable that is read, with its default, and no other."""

import json
import re
from pathlib import Path

import pytest

from connectors.dataverse.settings import ClientCertificate, ClientSecret, ManagedIdentity
from connectors.dataverse.users import load_users
from pipelines.settings import ENV_FILE, REST_PREFIX, Settings

WRITTEN = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
TOLD = dict(re.findall(r"^\| `(\w+(?:<NAME>)?)` \| (.*?) \| .+ \|$", WRITTEN, re.MULTILINE))
BESIDE_THE_FIELDS = {ENV_FILE: "`.intake/intake.env`"}


def variable(field: str) -> str:
    named = {"database_url": "DATABASE_URL", "rest_secrets": f"{REST_PREFIX}<NAME>"}
    return named.get(field, f"INTAKE_{field.upper()}")


def test_the_table_names_each_setting_and_nothing_else() -> None:
    assert set(TOLD) == {variable(name) for name in Settings.model_fields} | set(BESIDE_THE_FIELDS)


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"rest_secrets"}))
def test_the_table_has_the_default_of_each_setting(name: str) -> None:
    default = Settings.model_fields[name].default
    wanted = "" if default in (None, "") else str(default).lower() if isinstance(default, bool) else f"{default}"
    assert TOLD[variable(name)].strip("`") == wanted


def test_the_documents_example_of_further_users_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.+?)```", WRITTEN, re.DOTALL)
    path = tmp_path / "users.json"
    path.write_text(json.dumps(json.loads(example)))
    kinds = [type(user.credential) for user in load_users(path)]
    assert kinds == [ClientSecret, ClientCertificate, ManagedIdentity]
