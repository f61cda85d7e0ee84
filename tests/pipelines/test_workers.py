"""A worker started as the deployment starts it: by the variables of the settings alone."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psycopg
from pydantic import SecretStr
from typer.testing import CliRunner

from connectors.store.address import ServerAddress
from connectors.store.migrate import current_revision
from pipelines.cli import APP
from pipelines.cluster import execute, local_workers, replace_ended
from pipelines.launch import DAGSTER_URL, dagster_environment, dagster_instance, problems_of, told
from pipelines.processes import stop
from pipelines.settings import load_settings
from pipelines.workers import MOST_STARTS
from tests.pipelines.brokers import own_broker
from tests.pipelines.killing import killing
from tests.throwaway import fresh_database

ROOT = Path(__file__).parents[2]
# What a worker's process does is looked at from within, in the place of waiting for steps.
_INSTEAD = """
import types
import dagster as dg
import pipelines.workers as workers
from pipelines.settings import load_settings

def look(words):
    instance = dg.DagsterInstance.from_ref(dg.DagsterInstance.get().get_ref())
    print(type(instance.run_storage).__name__, instance.get_runs_count())

workers.worker_app = lambda settings: types.SimpleNamespace(worker_main=look)
workers.serve_worker(load_settings(), name="worker")
"""


def test_a_worker_finds_dagsters_instance_by_what_a_container_is_told(store: ServerAddress, tmp_path: Path) -> None:
    made = {DAGSTER_URL, "DAGSTER_HOME"}
    told = {
        "DATABASE_URL": store.uri_adbc,
        "INTAKE_EXECUTOR": "celery",
        "INTAKE_CELERY_BROKER": "memory://",
        "INTAKE_DATA_DIR": str(tmp_path),
        "INTAKE_CONFIG_DIR": str(ROOT / "config"),
    }
    environment = {**{name: value for name, value in os.environ.items() if name not in made}, **told}
    command = [sys.executable, "-W", "ignore", "-c", _INSTEAD]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    with psycopg.connect(store.dagster.uri_adbc) as conn:
        row = conn.execute("select count(*) from runs").fetchone()
    assert row is not None and ended.stdout.split()[-2:] == ["PostgresRunStorage", str(row[0])]


def test_upgrade_brings_store_and_dagsters_database_to_this_version_and_again_changes_nothing(
    store: ServerAddress, tmp_path: Path
) -> None:
    with fresh_database(store) as empty:
        told = {"DATABASE_URL": empty.uri_adbc, "INTAKE_DATA_DIR": str(tmp_path)}
        for _ in range(2):
            ended = CliRunner().invoke(APP, ["upgrade"], env=told)
            assert ended.exit_code == 0, ended.output
            assert current_revision(empty) == current_revision(store) is not None
            assert "log_" not in ended.output


def test_upgrade_warns_of_a_server_whose_own_log_would_hold_people(store: ServerAddress, tmp_path: Path) -> None:
    with fresh_database(store) as empty:
        with psycopg.connect(empty.uri_adbc) as conn:
            conn.execute(f"alter database \"{empty.database}\" set log_error_verbosity = 'default'")
        told = {"DATABASE_URL": empty.uri_adbc, "INTAKE_DATA_DIR": str(tmp_path)}
        ended = CliRunner().invoke(APP, ["upgrade"], env=told)
    assert ended.exit_code == 0, ended.output
    assert "log_error_verbosity = default: set it to terse" in " ".join(ended.output.split())


def test_a_step_that_kills_its_workers_fails_its_run_and_does_not_go_on_for_ever(
    store: ServerAddress, tmp_path: Path
) -> None:
    given = load_settings(
        database_url=SecretStr(store.uri_adbc), data_dir=tmp_path, config_dir=ROOT / "config", executor="celery"
    )
    with (
        own_broker(given, store) as settings,
        local_workers(settings, 1, address=store) as crew,
        dagster_instance(settings, store) as instance,
        told(dagster_environment(settings, store)),
    ):
        result = execute(killing, instance, tags={})
        begun = instance.get_records_for_run(result.run_id, of_type=dg.DagsterEventType.STEP_START).records
        assert replace_ended(crew, settings, address=store) == 0, "its processes were lost, not the worker"
        stop([lost := crew[0]])
        assert replace_ended(crew, settings, address=store) == 1
        assert crew[0] is not lost and crew[0].poll() is None
    assert not result.success
    assert len(begun) == MOST_STARTS
    (told_why,) = problems_of(result)
    assert "kill_worker was begun 5 times" in told_why and "memory limit" in told_why
