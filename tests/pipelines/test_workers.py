"""A worker started as the deployment starts it: by the variables of the settings alone."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from connectors.store.address import ServerAddress
from pipelines.launch import DAGSTER_URL

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
