"""The sandbox as a whole, and the demonstration over it: a synthetic organisation through the real pipeline.

The one module of the flow that may import `sandbox`. Nothing here is used by a run against real systems.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa

from connectors.mappings import load_policy
from connectors.store.address import ServerAddress
from pipelines.operations.workspace import server_address
from pipelines.settings import Settings
from sandbox import short_courses
from sandbox.crm_seed import journey_rows, purpose_rows
from sandbox.dataverse.server import RunningEmulator, start_emulator
from sandbox.drop_folder import drop_files
from sandbox.organisation import Organisation, make_organisation
from sandbox.sources_server import RunningSources, start_sources

SOURCE_DATABASE = "sandbox_short_courses"
# So that the first load of the sandbox waits for approval, and an ordinary day does not.
BLAST_RADIUS_ROWS = 1500


@dataclass(frozen=True)
class SandboxPlan:
    """Which organisation the sandbox plays: `days` days up to and with `until`."""

    seed: int = 1
    people: int = 5000
    days: int = 60
    until: date = date(2026, 1, 1)

    @property
    def first_on(self) -> date:
        """The first day on which anything was received."""
        return self.until - timedelta(days=self.days - 1)


@dataclass
class RunningSandbox:
    """The running stand-ins; `environment` is what the pipeline needs to find them."""

    organisation: Organisation
    sources: RunningSources
    emulator: RunningEmulator
    courses: sa.Engine
    drop_dir: Path
    environment: dict[str, str]

    def show_through(self, day: date) -> None:
        """Let the sources show their state at the end of a day, and drop that day's files."""
        self.sources.set_through(day)
        short_courses.load(self.organisation, self.courses, day)

    def drop(self, first_on: date, last_on: date) -> int:
        """Drop the export files of these days; returns how many."""
        return len(drop_files(self.organisation, self.drop_dir, first_on=first_on, last_on=last_on))


@contextmanager
def run_sandbox(
    settings: Settings, plan: SandboxPlan, *, ports: tuple[int, int, int] = (0, 0, 0)
) -> Iterator[RunningSandbox]:
    """Start every stand-in; `ports` are Webropol's, the website's and the CRM's (0: any free one). Stops them at the end."""
    organisation = make_organisation(seed=plan.seed, people=plan.people, days=plan.days, until=plan.until)
    address = _course_database(server_address(settings))
    courses = sa.create_engine(address.url_psycopg)
    home = settings.data_dir / "sandbox"
    with ExitStack() as stack:
        sources_dir = home / "sources"
        sources_dir.mkdir(parents=True, exist_ok=True)
        sources = stack.enter_context(start_sources(sources_dir, organisation, through=plan.until, ports=ports[:2]))
        emulator = stack.enter_context(start_crm(settings, home / "crm", port=ports[2]))
        stack.callback(courses.dispose)
        environment = _environment(settings, address, sources, emulator)
        yield RunningSandbox(organisation, sources, emulator, courses, settings.dropped_files_dir(), environment)


def start_crm(settings: Settings, directory: Path, *, port: int = 0) -> RunningEmulator:
    """The Dataverse emulator with the set-up that the policy needs; what was written to it before is still there."""
    directory.mkdir(parents=True, exist_ok=True)
    emulator = start_emulator(directory, port=port)
    if not emulator.control.rows("msdynmkt_purposes"):
        policy = load_policy(settings.config_dir)
        emulator.control.seed(purpose_rows(policy))
        emulator.control.seed(journey_rows(policy))
    return emulator


def _course_database(address: ServerAddress) -> ServerAddress:
    admin = sa.create_engine(address.url_psycopg, isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        known = conn.execute(sa.text("select 1 from pg_database where datname = :name"), {"name": SOURCE_DATABASE})
        if known.scalar() is None:
            conn.execute(sa.text(f"create database {SOURCE_DATABASE}"))
    admin.dispose()
    return address.with_database(SOURCE_DATABASE)


def _environment(
    settings: Settings, address: ServerAddress, sources: RunningSources, emulator: RunningEmulator
) -> dict[str, str]:
    credentials = sources.credentials
    return {
        "INTAKE_DATA_DIR": str(settings.data_dir),
        "INTAKE_SHORT_COURSES_URL": address.url_psycopg,
        "INTAKE_WEBROPOL_URL": sources.webropol_url,
        "INTAKE_WEBROPOL_USERNAME": credentials.webropol_username,
        "INTAKE_WEBROPOL_PASSWORD": credentials.webropol_password,
        "INTAKE_WEB_FORMS_URL": sources.drupal_url,
        "INTAKE_WEB_FORMS_API_KEY": credentials.drupal_api_key,
        "INTAKE_SOURCES_CA_PATH": str(sources.ca_path),
        "INTAKE_DATAVERSE_URL": emulator.base_url,
        "INTAKE_DATAVERSE_AUTHORITY": emulator.authority.rsplit("/", 1)[0],
        "INTAKE_DATAVERSE_TENANT": emulator.tenant_id,
        "INTAKE_DATAVERSE_CLIENT_ID": emulator.client_id,
        "INTAKE_DATAVERSE_CLIENT_SECRET": emulator.client_secret,
        "INTAKE_DATAVERSE_CA_PATH": str(emulator.ca_path),
        "INTAKE_SETTLE_S": "0.05",
        "INTAKE_BLAST_RADIUS_ROWS": str(BLAST_RADIUS_ROWS),
    }


def write_env_file(environment: dict[str, str], path: Path) -> None:
    """Write the settings where `INTAKE_ENV_FILE` finds them; the secrets in it are the sandbox's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in sorted(environment.items())))
