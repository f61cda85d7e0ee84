"""The workspace: everything an operation needs, opened once from the settings: store, keys, policy, mappings, doors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine

from connectors.dataverse import (
    ClientCertificate,
    ClientSecret,
    Credential,
    DataverseClient,
    DataverseSettings,
    ManagedIdentity,
    load_users,
)
from connectors.erasure_journal import ErasureJournal
from connectors.fetching import HttpSettings
from connectors.files import FileSettings
from connectors.mappings import load_mappings, load_policy, load_role
from connectors.rest_feeds import RestSettings
from connectors.short_courses import ShortCoursesSettings
from connectors.sources import SourceSettings
from connectors.store.address import ServerAddress
from connectors.store.batches import Stay
from connectors.store.engine import create_store_engine
from connectors.store.keys import KeyRing
from connectors.store.lost_keys import refuse_lost
from connectors.store.merge import PurposeRules
from connectors.store.migrate import PIPELINE_ROLE, RETENTION_ROLE, upgrade
from connectors.store.server import ensure_server, external_server
from connectors.web_forms import WebFormsSettings
from connectors.webropol import WebropolSettings
from pipelines.settings import Settings
from schemas.crm_role import CrmRole
from schemas.errors import ConfigurationError
from schemas.mappings import Mapping
from schemas.policy import BlastRadius, Policy


@dataclass(frozen=True)
class Workspace:
    """One opened store with the configuration it is worked by."""

    settings: Settings
    address: ServerAddress
    engine: Engine
    keys: KeyRing
    policy: Policy
    mappings: dict[str, Mapping]
    sources: SourceSettings

    def now(self) -> datetime:
        """The time, UTC."""
        return self.settings.now()

    def feeds_of(self, source: str) -> list[Mapping]:
        """The mappings of one source."""
        return [mapping for mapping in self.mappings.values() if mapping.source == source]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of the pipeline's role, committed at the end."""
        with self.engine.begin() as conn:
            yield conn

    @property
    def journal(self) -> ErasureJournal:
        """The journal of erasures, outside the database."""
        return ErasureJournal(self.settings.erasure_journal())

    def landing_keeps(self, *, stopped: bool) -> timedelta:
        """How long a batch's payload is kept, from when it landed; however often it is read meanwhile."""
        retention = self.policy.retention
        return timedelta(days=retention.stopped_landing_days if stopped else retention.landing_days)

    def stay_from(self, now: datetime) -> Stay:
        """The stay of what lands now."""
        return Stay(now, now + self.landing_keeps(stopped=False))


def server_address(settings: Settings) -> ServerAddress:
    """The store's server: the one DATABASE_URL names, else the embedded one, started if need be."""
    if settings.database_url is not None:
        return external_server(settings.database_url.get_secret_value())
    return ensure_server(settings.data_dir / "postgres", fast_for_tests=settings.fast_for_tests)


# The run's own, its locks', and what a few threads of an intake use at once; senders to the CRM need none.
STORE_CONNECTIONS = 8


def open_workspace(settings: Settings, *, address: ServerAddress | None = None) -> Workspace:
    """Open the store (migrated to the newest layout) and load the configuration.

    Raises ConfigurationError where settings, policy or mappings are wrong.
    """
    policy = load_policy(settings.config_dir)
    if settings.blast_radius_rows is not None:
        radius = BlastRadius(rows=settings.blast_radius_rows, share=policy.crm.blast_radius.share)
        policy = policy.model_copy(update={"crm": policy.crm.model_copy(update={"blast_radius": radius})})
    address = address or server_address(settings)
    upgrade(address)
    engine = create_store_engine(address, role=PIPELINE_ROLE, pool_size=STORE_CONNECTIONS)
    return Workspace(
        settings=settings,
        address=address,
        engine=engine,
        keys=KeyRing(settings.keys_dir(), before_first=partial(refuse_lost, engine)),
        policy=policy,
        mappings=load_mappings(settings.config_dir),
        sources=source_settings(settings, policy.organisation.timezone),
    )


@contextmanager
def under_retention(workspace: Workspace) -> Iterator[Workspace]:
    """The same workspace under the role that may delete and may add nothing to the ledger; its connections end with it."""
    engine = create_store_engine(workspace.address, role=RETENTION_ROLE, pool_size=2)
    try:
        yield replace(workspace, engine=engine)
    finally:
        engine.dispose()


def with_policy(workspace: Workspace, policy: Policy) -> Workspace:
    """The same workspace under another policy."""
    return replace(workspace, policy=policy)


def source_settings(settings: Settings, timezone: str) -> SourceSettings:
    """The doors that the settings open; a door without its address stays shut."""
    http = HttpSettings(ca_path=str(settings.sources_ca_path) if settings.sources_ca_path else None)
    webropol = web_forms = short_courses = None
    if settings.webropol_url and settings.webropol_username and settings.webropol_password:
        webropol = WebropolSettings(
            username=settings.webropol_username,
            password=settings.webropol_password.get_secret_value(),
            base_url=settings.webropol_url,
            timezone=timezone,
            http=http,
        )
    if settings.web_forms_url and settings.web_forms_api_key:
        key = settings.web_forms_api_key.get_secret_value()
        web_forms = WebFormsSettings(base_url=settings.web_forms_url, api_key=key, timezone=timezone, http=http)
    if settings.short_courses_url:
        short_courses = ShortCoursesSettings(url=settings.short_courses_url.get_secret_value(), timezone=timezone)
    folder = settings.drop_location()
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
    files = FileSettings(folder=folder, timezone=timezone, settle_s=settings.settle_s, storage=settings.drop_options())
    secrets = {name: value.get_secret_value() for name, value in settings.rest_secrets.items()}
    rest = RestSettings(secrets=secrets, timezone=timezone, http=http)
    return SourceSettings(files=files, webropol=webropol, web_forms=web_forms, short_courses=short_courses, rest=rest)


def dataverse_client(settings: Settings, policy: Policy) -> DataverseClient:
    """The CRM's client; ConfigurationError names the setting that is missing."""
    return DataverseClient(dataverse_settings(settings, policy))


def dataverse_settings(settings: Settings, policy: Policy) -> DataverseSettings:
    """The CRM's environment and our application user; ConfigurationError names the setting that is missing."""
    needed = {
        "INTAKE_DATAVERSE_URL": settings.dataverse_url,
        "INTAKE_DATAVERSE_TENANT": settings.dataverse_tenant,
        "INTAKE_DATAVERSE_CLIENT_ID": settings.dataverse_client_id or settings.dataverse_managed_identity,
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(
            f"The CRM cannot be reached without {', '.join(missing)}. Set them, or run the sandbox."
        )
    return DataverseSettings(
        base_url=str(settings.dataverse_url),
        tenant=str(settings.dataverse_tenant),
        client_id=settings.dataverse_client_id or "",
        credential=_credential(settings),
        other_users=load_users(settings.dataverse_users_path) if settings.dataverse_users_path else (),
        authority=settings.dataverse_authority,
        ca_path=settings.dataverse_ca_path,
        deadline_s=settings.dataverse_deadline_s,
        chunk_rows=policy.crm.chunk_rows,
        suppress_flows=settings.dataverse_suppress_flows,
        bypass_logic=tuple(filter(None, settings.dataverse_bypass_logic.replace(" ", "").split(","))),
    )


def role_of(workspace: Workspace) -> CrmRole:
    """What the application users must be allowed, with these settings and this policy."""
    role = load_role(workspace.settings.config_dir)
    role = role.with_lists() if workspace.policy.lists() else role
    return role.with_bypass() if workspace.settings.dataverse_bypass_logic else role


def _credential(settings: Settings) -> Credential:
    if settings.dataverse_managed_identity:
        return ManagedIdentity(settings.dataverse_client_id)
    if settings.dataverse_private_key_path:
        return ClientCertificate(settings.dataverse_private_key_path, settings.dataverse_certificate_path)
    if settings.dataverse_client_secret:
        return ClientSecret(settings.dataverse_client_secret.get_secret_value())
    raise ConfigurationError(
        "The CRM wants a credential: set INTAKE_DATAVERSE_CLIENT_SECRET, INTAKE_DATAVERSE_PRIVATE_KEY_PATH or"
        " INTAKE_DATAVERSE_MANAGED_IDENTITY."
    )


def purpose_rules(policy: Policy) -> PurposeRules:
    """The policy's purposes as the merges take them."""
    topical = [(name, topic) for name, purpose in policy.purposes.items() for topic in purpose.topics]
    return PurposeRules(
        names=list(policy.purposes),
        begins=[str(purpose.begins) for purpose in policy.purposes.values()],
        days=[-1 if p.lives_after_days is None else p.lives_after_days for p in policy.purposes.values()],
        topic_purposes=[name for name, _ in topical],
        topics=[topic for _, topic in topical],
        window_s=policy.clock_skew_s,
        confirmation_days=policy.confirmation_days,
        remembered_days=policy.retention.quarantine_days,
    )
