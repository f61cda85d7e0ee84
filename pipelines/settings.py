"""Settings: every environment variable that is read, in one place. Nothing is read at import; `load_settings` reads.

Values come from the environment (prefix INTAKE_, and DATABASE_URL), then from the file INTAKE_ENV_FILE names
(default `.intake/intake.env`, which `crm-intake sandbox serve` writes). Secrets are never printed.
"""

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from schemas.errors import ConfigurationError

ENV_FILE = "INTAKE_ENV_FILE"
REST_PREFIX = "INTAKE_REST_"


class Settings(BaseSettings):
    """Where things are and how to reach them. `fixed_now` stands in for the clock in tests and in the sandbox."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", extra="ignore", frozen=True)

    data_dir: Path = Path(".intake")
    config_dir: Path = Path("config")
    drop_dir: Path | str | None = Field(default=None, description="a folder, or an fsspec URL such as s3://bucket/in")
    drop_storage: SecretStr | None = Field(default=None, description="JSON: what the URL's file system is told")
    journal_path: Path | None = Field(default=None, description="the journal of erasures, kept outside the database")
    keys_path: Path | None = Field(default=None, description="the key ring's directory, which its owner alone reads")
    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "INTAKE_DATABASE_URL")
    )
    # Of the logins that `upgrade` makes for the deployment's parts; told to whoever runs it, and to no part.
    db_service_password: SecretStr | None = None
    db_dagster_password: SecretStr | None = None
    db_viewer_password: SecretStr | None = None
    db_page_password: SecretStr | None = None
    fast_for_tests: bool = False
    fixed_now: datetime | None = None

    short_courses_url: SecretStr | None = None
    webropol_url: str | None = None
    webropol_username: str | None = None
    webropol_password: SecretStr | None = None
    web_forms_url: str | None = None
    web_forms_api_key: SecretStr | None = None
    sources_ca_path: Path | None = None
    rest_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="what mappings name under rest.auth: INTAKE_REST_<NAME>, one each"
    )
    settle_s: float = 2.0

    dataverse_url: str | None = None
    dataverse_authority: str = "https://login.microsoftonline.com"
    dataverse_tenant: str | None = None
    dataverse_client_id: str | None = None
    dataverse_client_secret: SecretStr | None = None
    dataverse_certificate_path: Path | None = None
    dataverse_private_key_path: Path | None = None
    dataverse_managed_identity: bool = Field(
        default=False, description="the machine's own; with a client id a user-assigned one"
    )
    dataverse_users_path: Path | None = Field(default=None, description="JSON list of further application users")
    dataverse_suppress_flows: bool = False
    dataverse_bypass_logic: str = Field(default="", description="CustomSync, CustomAsync or both, with a comma")
    dataverse_ca_path: Path | None = None
    dataverse_deadline_s: float = 900.0

    executor: Literal["in_process", "celery"] = "in_process"
    celery_broker: SecretStr | None = Field(default=None, description="pyamqp://…; without it what answers here")
    celery_backend: SecretStr | None = Field(
        default=None, description="where results go back; without it by the broker"
    )
    preferences_url: str | None = Field(default=None, description="the page's public address; else the policy's")
    doors_path: Path | None = Field(default=None, description="JSON: secrets of webhooks and of the consent provider")
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_sender: str | None = None
    alert_mail_to: str | None = None
    alert_webhook_url: str | None = None
    alert_webhook_secret: SecretStr | None = None
    dataverse_secret_expires_on: date | None = Field(default=None, description="the portal's; it cannot be asked for")

    partitions_first_on: str = "2026-01-01"
    partitions_per_run: int = Field(default=0, ge=0, description="0: a backfill is one run; n: n days a run")
    blast_radius_rows: int | None = Field(default=None, ge=0)

    def keys_dir(self) -> Path:
        """The key ring, kept outside the database and its dumps."""
        return self.keys_path or self.data_dir / "keys"

    def erasure_journal(self) -> Path:
        """The journal of erasures, kept outside the database and its dumps, and backed up apart from it."""
        return self.journal_path or self.data_dir / "erasures.jsonl"

    def certificates_dir(self) -> Path:
        """Where the signed certificates of retention are kept."""
        return self.data_dir / "certificates"

    def drop_location(self) -> Path | str:
        """Where exports are dropped: a folder of this machine, or an fsspec URL."""
        if isinstance(self.drop_dir, str):
            return self.drop_dir if "://" in self.drop_dir else Path(self.drop_dir)
        return self.drop_dir or self.data_dir / "drop"

    def dropped_files_dir(self) -> Path:
        """The folder in which exports are dropped. ConfigurationError where they are dropped at a URL."""
        location = self.drop_location()
        if isinstance(location, Path):
            return location
        raise ConfigurationError("INTAKE_DROP_DIR is a URL; a folder of this machine is needed here.")

    def drop_options(self) -> dict[str, Any]:
        """What the file system of the drop URL is told, secrets among it. ConfigurationError where it is no JSON object."""
        given = self.drop_storage.get_secret_value() if self.drop_storage else "{}"
        try:
            options = json.loads(given)
        except ValueError:
            options = None
        if not isinstance(options, dict):
            raise ConfigurationError(
                'INTAKE_DROP_STORAGE is not a JSON object. Give it as {"key": "...", "secret": "..."}.'
            )
        return options

    def now(self) -> datetime:
        """The time, UTC."""
        return self.fixed_now.astimezone(UTC) if self.fixed_now else datetime.now(UTC)


def load_settings(**overrides: object) -> Settings:
    """The settings as they stand; ConfigurationError names each variable that is wrong, never its value."""
    env_file = Path(os.environ.get(ENV_FILE, ".intake/intake.env"))
    overrides = {"rest_secrets": _rest_secrets(env_file)} | overrides
    try:
        return Settings(_env_file=env_file if env_file.exists() else None, **overrides)  # type: ignore[call-arg, arg-type]
    except SettingsError as unreadable:
        raise ConfigurationError(f"Settings: {unreadable}. Mend the environment or the env file.") from None
    except ValidationError as invalid:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in invalid.errors(include_input=False, include_url=False)
        ]
        raise ConfigurationError("Settings: " + "; ".join(faults) + ". Mend the environment or the env file.") from None


def _rest_secrets(env_file: Path) -> dict[str, SecretStr]:
    """Every INTAKE_REST_<NAME>, by name. Only these can a mapping ask for: no other setting can be sent anywhere by one."""
    written = dotenv_values(env_file) if env_file.exists() else {}
    known = {name.upper(): value for name, value in (*written.items(), *os.environ.items()) if value}
    return {
        name.removeprefix(REST_PREFIX): SecretStr(value)
        for name, value in known.items()
        if name.startswith(REST_PREFIX) and name != f"{REST_PREFIX}SECRETS"
    }
