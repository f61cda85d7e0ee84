"""The whole system over stand-ins: a synthetic organisation, its sources, the CRM's emulator, a fresh store.

`make_world`  makes one on a database of its own, with an instance of Dagster's in a database beside it
`world`       one for a module: three days of a small organisation
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from connectors.store.address import ServerAddress
from pipelines.definitions import build_definitions
from pipelines.demo import RunningSandbox, SandboxPlan, run_sandbox
from pipelines.launch import dagster_instance
from pipelines.operations.workspace import Workspace, open_workspace
from pipelines.resources import LentWorkspace
from pipelines.settings import Settings, load_settings
from schemas.records import Window
from tests.throwaway import fresh_database

UNTIL = date(2026, 11, 20)


@dataclass
class World:
    """One system with everything around it."""

    settings: Settings
    address: ServerAddress
    sandbox: RunningSandbox
    workspace: Workspace
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    first_on: date
    last_on: date

    @property
    def window(self) -> Window:
        return Window(self.first_on, self.last_on)

    def days(self) -> list[str]:
        return [str(self.first_on + timedelta(days=n)) for n in range((self.last_on - self.first_on).days + 1)]

    def run(self, job: str, **options: Any) -> dg.ExecuteInProcessResult:
        resolved = self.definitions.resolve_job_def(job)
        return resolved.execute_in_process(instance=self.instance, raise_on_error=False, **options)

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        with self.workspace.transaction() as conn:
            return [tuple(row) for row in conn.execute(sa.text(statement), parameters)]


@contextmanager
def build_world(
    address: ServerAddress,
    directory: Path,
    *,
    people: int,
    days: int,
    keys: Path | None = None,
    login: str | None = None,
) -> Iterator[World]:
    """One world in the database of `address`; with `login` all that works logs in so, and Dagster's database is its own."""
    first_on = UNTIL - timedelta(days=days - 1)
    if keys is not None:
        shutil.copytree(keys, directory / "keys")
    with ExitStack() as stack:
        if login is None:
            address = replace(address, dagster_database=stack.enter_context(fresh_database(address)).database)
        settings = load_settings(
            data_dir=directory,
            config_dir=Path("config").resolve(),
            database_url=address.uri_adbc,
            fixed_now=datetime.combine(UNTIL + timedelta(days=1), time(1), UTC),
            partitions_first_on=str(first_on),
            blast_radius_rows=1_000_000,
        )
        plan = SandboxPlan(people=people, days=days, until=UNTIL)
        sandbox = stack.enter_context(run_sandbox(settings, plan))
        sandbox.show_through(UNTIL)
        sandbox.drop(first_on, UNTIL)
        settings = settings.model_copy(update=_from_environment(sandbox.environment) | {"blast_radius_rows": 1_000_000})
        if login is not None:
            address = replace(address, url=address.url.set(username=login))
            settings = settings.model_copy(update={"database_url": SecretStr(address.uri_adbc)})
        workspace = open_workspace(settings, address=address)
        stack.callback(workspace.engine.dispose)
        for use in ("ledger", "guid_salt"):
            workspace.keys.current(use)  # made now, so that another world can have the same
        instance = stack.enter_context(dagster_instance(settings, address))
        definitions = build_definitions(settings, workspace=LentWorkspace(workspace))
        yield World(settings, address, sandbox, workspace, instance, definitions, first_on, UNTIL)


def _from_environment(environment: dict[str, str]) -> dict[str, Any]:
    given = {name.removeprefix("INTAKE_").lower(): value for name, value in environment.items()}
    parsed = Settings.model_validate(given)
    return {name: getattr(parsed, name) for name in given}


@pytest.fixture(scope="module")
def make_world(
    store_address: ServerAddress, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[World]]:
    @contextmanager
    def make(*, people: int, days: int, keys: Path | None = None) -> Iterator[World]:
        directory = tmp_path_factory.mktemp("world")
        with (
            fresh_database(store_address, template=store_address.database) as address,
            build_world(address, directory, people=people, days=days, keys=keys) as world,
        ):
            yield world

    return make


@pytest.fixture(scope="module")
def world(make_world: Callable[..., AbstractContextManager[World]]) -> Iterator[World]:
    with make_world(people=60, days=3) as made:
        yield made
