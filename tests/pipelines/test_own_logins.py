"""The deployment's logins, as `crm-intake upgrade` makes them for an owner that is no superuser: a day is taken in, told and
cleared by one that owns nothing, and Dagster's pages are shown by one that reads nothing of the store and changes nothing.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from connectors.store.address import ServerAddress
from connectors.store.roles import POWERS, Access, grant_access, list_access, revoke_access
from connectors.store.server import ensure_server
from pipelines.assets.intake import NOUNS
from pipelines.launch import Listen, child_environment, run_in_process, served_ui
from pipelines.settings import load_settings
from schemas.errors import ConfigurationError
from tests.pipelines.conftest import World, build_world
from tests.pipelines.test_backfill import free_port, graphql
from tests.throwaway import server_directory

ROOT = Path(__file__).parents[2]
CRM_INTAKE = str(Path(sys.executable).parent / "crm-intake")
SERVICE, DAGSTER, VIEWER, PAGE = "intake_service", "intake_dagster", "intake_viewer", "intake_page"
LOGINS = [SERVICE, DAGSTER, VIEWER, PAGE]
PASSWORDS = {f"INTAKE_DB_{name}_PASSWORD": f"{name}'s is \\ long" for name in ("SERVICE", "DAGSTER", "VIEWER", "PAGE")}
_SHOWN = """query { assetNodes { assetKey { path } partitionStats { numMaterialized } }
  runsOrError { ... on Runs { results { status } } } }"""


def upgraded(address: ServerAddress, data_dir: Path, passwords: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **passwords, "DATABASE_URL": address.uri_adbc, "INTAKE_DATA_DIR": str(data_dir)}
    return subprocess.run(
        [CRM_INTAKE, "upgrade"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A server of its own, as roles are the whole server's; its store made twice, by an owner such as an organisation gives."""
    with server_directory() as directory:
        address = ensure_server(directory / "server", fast_for_tests=True)
        with psycopg.connect(address.with_database("postgres").uri_adbc, autocommit=True) as conn:
            conn.execute("create role store_owner login createrole createdb")
            for name in ("intake", "dagster"):
                conn.execute(sql.SQL("alter database {} owner to store_owner").format(sql.Identifier(name)))
        address = ServerAddress(address.url.set(username="store_owner"))
        for _ in range(2):
            done = upgraded(address, tmp_path_factory.mktemp("owner"), PASSWORDS)
            assert done.returncode == 0, done.stdout + done.stderr
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


def roles_of(owner: ServerAddress, user: str) -> set[object]:
    held = "select r.rolname from pg_auth_members m join pg_roles r on r.oid = roleid join pg_roles u on u.oid = member"
    return {role for (role,) in asked(owner, f"{held} where u.rolname = '{user}'")}


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
    for address in (owner, owner.dagster):
        found = sql.SQL("select relname from pg_class c join pg_roles r on r.oid = relowner where rolname = any({})")
        assert asked(address, found.format(sql.Literal(LOGINS)).as_string()) == []
    held = asked(
        owner, f"select rolname, {POWERS} from pg_roles where rolname = any({sql.Literal(LOGINS).as_string()})"
    )
    assert sorted(held) == [(name, False) for name in sorted(LOGINS)]


def test_retention_is_done_by_the_same_login(world: World) -> None:
    command = [CRM_INTAKE, "privacy", "retention"]
    environment = child_environment(world.settings, world.address)
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_that_refuse_every_change_are_shown_by_a_login_that_reads_nothing_of_the_store(
    world: World, owner: ServerAddress, tmp_path: Path
) -> None:
    address = ServerAddress(owner.url.set(username=VIEWER))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked(address.dagster, "delete from runs returning 1")
    for table in ("intake.person", "finance.party", "intake.consent_event"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(address, f"select count(*) from {table}")
    settings = load_settings(data_dir=tmp_path, config_dir=ROOT / "config", database_url=address.uri_adbc)
    with served_ui(settings, Listen(port=free_port(), read_only=True), address=address) as ui:
        shown = graphql(ui.url, _SHOWN)
    assert {run["status"] for run in shown["runsOrError"]["results"]} == {"SUCCESS"}
    assert any(node["partitionStats"] and node["partitionStats"]["numMaterialized"] for node in shown["assetNodes"])


def test_a_personal_login_does_not_run_and_is_told_so_before_it_approves(world: World, owner: ServerAddress) -> None:
    grant_access(owner, Access("olli", "operator", by="Anna Admin"))
    address = ServerAddress(owner.url.set(username="olli"))
    settings = world.settings.model_copy(update={"database_url": SecretStr(address.uri_adbc)})
    command = [CRM_INTAKE, "run", "--approve", "0", "--by", "Olli"]
    environment = child_environment(settings, address)
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "start the run" in " ".join(done.stderr.split()), done.stdout + done.stderr


def test_the_page_has_the_rights_of_the_page_alone(owner: ServerAddress) -> None:
    assert roles_of(owner, PAGE) == {"intake_preferences"}
    for login in (PAGE, "intake_finance"):
        with pytest.raises(psycopg.OperationalError):
            asked(ServerAddress(owner.url.set(username=login)).dagster, "select 1")


def test_another_password_and_lost_or_added_rights_are_brought_by_the_next_upgrade(
    owner: ServerAddress, tmp_path: Path
) -> None:
    with psycopg.connect(owner.uri_adbc, autocommit=True) as conn:
        conn.execute(f"grant intake_finance to {PAGE}")
        conn.execute(f"revoke intake_retention from {SERVICE}")
    with psycopg.connect(owner.dagster.uri_adbc, autocommit=True) as conn:
        conn.execute("create table of_a_next_version (n int)")
        conn.execute(f"grant insert on runs to {VIEWER}")
    done = upgraded(owner, tmp_path, PASSWORDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORDS["INTAKE_DB_PAGE_PASSWORD"] not in done.stdout + done.stderr
    assert roles_of(owner, PAGE) == {"intake_preferences"}
    assert roles_of(owner, SERVICE) == {"intake_pipeline", "intake_retention", "intake_finance"}
    for user in (SERVICE, DAGSTER, VIEWER):
        assert asked(ServerAddress(owner.url.set(username=user)).dagster, "select count(*) from of_a_next_version") == [
            (0,)
        ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        asked(
            ServerAddress(owner.url.set(username=VIEWER)).dagster, "insert into runs (run_id) values ('1') returning 1"
        )


def test_short_passwords_are_refused_before_anything_is_done(owner: ServerAddress, tmp_path: Path) -> None:
    done = upgraded(owner, tmp_path, {"INTAKE_DB_PAGE_PASSWORD": "too short"})
    assert done.returncode != 0 and "INTAKE_DB_PAGE_PASSWORD" in done.stderr + done.stdout
    assert "too short" not in done.stderr + done.stdout


def test_a_login_of_a_part_that_may_do_anything_is_refused(owner: ServerAddress, tmp_path: Path) -> None:
    with psycopg.connect(owner.uri_adbc, autocommit=True) as conn:
        conn.execute(f"alter role {DAGSTER} createdb")
    try:
        done = upgraded(owner, tmp_path, PASSWORDS)
        assert done.returncode != 0 and f"{DAGSTER} has powers" in done.stderr + done.stdout
    finally:
        with psycopg.connect(owner.uri_adbc, autocommit=True) as conn:
            conn.execute(f"alter role {DAGSTER} nocreatedb")


def test_personal_logins_are_given_and_taken_by_an_owner_that_is_no_superuser(owner: ServerAddress) -> None:
    with psycopg.connect(ServerAddress(owner.url.set(username="postgres")).uri_adbc, autocommit=True) as conn:
        conn.execute("revoke pg_signal_backend from store_owner")
        grant_access(owner, Access("maija", "operator", by="Anna Admin"), password="a long enough secret")
        with pytest.raises(ConfigurationError, match="nothing was taken away"):
            revoke_access(owner, "maija", by="Anna Admin")
        assert [row["can_log_in"] for row in list_access(owner) if row["user_name"] == "maija"] == [True]
        conn.execute("grant pg_signal_backend to store_owner")
    session = psycopg.connect(ServerAddress(owner.url.set(username="maija")).uri_adbc, autocommit=True)
    session.execute("select 1")
    assert revoke_access(owner, "maija", by="Anna Admin") == 1
    with pytest.raises(psycopg.OperationalError):
        session.execute("select 1")
    assert "maija" not in {row["user_name"] for row in list_access(owner)}
