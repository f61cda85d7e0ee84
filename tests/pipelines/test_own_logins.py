"""The logins that deploy/logins.sql makes: a day is taken in, told and cleared by one that owns nothing, and Dagster's pages
are shown by one that reads nothing of the store.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from connectors.store import cluster
from connectors.store.address import ServerAddress
from connectors.store.server import ensure_server
from pipelines.assets.intake import NOUNS
from pipelines.launch import Listen, child_environment, run_in_process, served_ui
from pipelines.settings import load_settings
from tests.pipelines.conftest import World, build_world
from tests.pipelines.test_backfill import free_port, graphql
from tests.throwaway import server_directory

ROOT = Path(__file__).parents[2]
LOGINS = ROOT / "deploy" / "logins.sql"
CRM_INTAKE = str(Path(sys.executable).parent / "crm-intake")
SERVICE, DAGSTER, PAGE = "intake_service", "intake_dagster", "intake_page"
PASSWORDS = {f"INTAKE_DB_{name}_PASSWORD": f"'{name}' is long" for name in ("SERVICE", "DAGSTER", "PAGE")}
_SHOWN = """query { assetNodes { assetKey { path } partitionStats { numMaterialized } }
  runsOrError { ... on Runs { results { status } } } }"""


def make_logins(owner: ServerAddress, given: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name not in PASSWORDS} | given
    command = [str(cluster.binaries() / "psql"), "-X", "-q", "-d", owner.uri_adbc, "-f", str(LOGINS)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def owner() -> Iterator[ServerAddress]:
    """A server of its own, as roles are the whole server's: its logins made, then its store, by who owns it."""
    with server_directory() as directory:
        address = ensure_server(directory / "server", fast_for_tests=True)
        made = make_logins(address, PASSWORDS)
        assert (made.returncode, made.stderr) == (0, "")
        environment = {**os.environ, "DATABASE_URL": address.uri_adbc, "INTAKE_DATA_DIR": str(directory / "owner")}
        command = [CRM_INTAKE, "upgrade"]
        subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True)
        yield address


@pytest.fixture(scope="module")
def world(owner: ServerAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with build_world(owner, tmp_path_factory.mktemp("world"), people=40, days=1, login=SERVICE) as made:
        summary = run_in_process(made.settings, sources=list(NOUNS), window=made.window, address=made.address)
        assert summary.is_success, summary.problems
        yield made


def asked(address: ServerAddress, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(address.uri_adbc) as conn:
        return conn.execute(statement).fetchall()  # type: ignore[call-overload, no-any-return]


def test_a_day_is_taken_in_and_told_to_the_crm_and_to_finance(world: World, owner: ServerAddress) -> None:
    for table in ("intake.person", "intake.crm_row", "finance.party"):
        ((rows,),) = asked(owner, f"select count(*) from {table}")
        assert rows, table
    assert asked(
        owner, "select count(*) from intake.outbox_intent where state not in ('acknowledged', 'superseded')"
    ) == [(0,)]
    ((logged_in,),) = asked(world.address, "select current_user")
    assert logged_in == SERVICE


def test_no_login_owns_or_makes_anything(owner: ServerAddress, world: World) -> None:
    powers = "rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls"
    names = [SERVICE, DAGSTER, PAGE]
    for address in (owner, owner.dagster):
        found = sql.SQL("select relname from pg_class c join pg_roles r on r.oid = relowner where rolname = any({})")
        assert asked(address, found.format(sql.Literal(names)).as_string()) == []
    held = asked(owner, f"select rolname, {powers} from pg_roles where rolname in ('{SERVICE}', '{DAGSTER}', '{PAGE}')")
    assert sorted(held) == [(name, False) for name in sorted(names)]


def test_retention_is_done_by_the_same_login(world: World) -> None:
    command = [CRM_INTAKE, "privacy", "retention"]
    environment = child_environment(world.settings, world.address)
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_that_refuse_every_change_are_shown_by_a_login_that_reads_nothing_of_the_store(
    world: World, owner: ServerAddress, tmp_path: Path
) -> None:
    address = ServerAddress(owner.url.set(username=DAGSTER))
    for table in ("intake.person", "finance.party", "intake.consent_event"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(address, f"select count(*) from {table}")
    settings = load_settings(data_dir=tmp_path, config_dir=ROOT / "config", database_url=address.uri_adbc)
    with served_ui(settings, Listen(port=free_port(), read_only=True), address=address) as ui:
        shown = graphql(ui.url, _SHOWN)
    assert {run["status"] for run in shown["runsOrError"]["results"]} == {"SUCCESS"}
    assert any(node["partitionStats"] and node["partitionStats"]["numMaterialized"] for node in shown["assetNodes"])


def test_the_page_has_the_rights_of_the_page_alone(owner: ServerAddress) -> None:
    members = (
        "select r.rolname from pg_auth_members m join pg_roles r on r.oid = roleid join pg_roles u on u.oid = member"
    )
    assert asked(owner, f"{members} where u.rolname = '{PAGE}'") == [("intake_preferences",)]
    for login in (PAGE, "intake_finance"):
        with pytest.raises(psycopg.OperationalError):
            asked(ServerAddress(owner.url.set(username=login)).dagster, "select 1")


def test_what_lacks_a_password_makes_no_login_without_one(owner: ServerAddress) -> None:
    with server_directory() as directory:
        address = ensure_server(directory, fast_for_tests=True)
        told = make_logins(address, {**PASSWORDS, "INTAKE_DB_PAGE_PASSWORD": ""})
        assert told.returncode != 0 and "INTAKE_DB_PAGE_PASSWORD" in told.stdout + told.stderr
        assert asked(address, "select rolname from pg_roles where rolname ~ '^intake_'") == []
