"""Starting Dagster: its home, what its processes are told, and what becomes of runs whose process was killed."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from pydantic import SecretStr

from connectors.store.address import ServerAddress
from pipelines.launch import (
    HOST,
    PROCESS,
    close_dead_runs,
    close_lost_runs,
    covering,
    dagster_environment,
    dagster_home,
    dagster_instance,
    run_in_process,
    settings_environment,
)
from pipelines.settings import Settings, load_settings
from schemas.errors import ConfigurationError
from schemas.records import Window
from tests.throwaway import fresh_database

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        data_dir=tmp_path / "data",
        config_dir=ROOT / "config",
        database_url="postgresql://u:p%40ss@db.example.org/intake",
        fixed_now=datetime(2026, 11, 21, 1, tzinfo=UTC),
        dataverse_client_secret="s3cret",
        settle_s=0.5,
    )


@pytest.fixture
def instance(settings: Settings, store_address: ServerAddress) -> Iterator[dg.DagsterInstance]:
    with fresh_database(store_address) as database:
        address = replace(store_address, dagster_database=database.database)
        with dagster_instance(settings, address) as opened:
            yield opened


def test_another_process_reads_the_same_settings(settings: Settings, store_address: ServerAddress) -> None:
    code = (
        "import json; from pipelines.settings import load_settings; s = load_settings();"
        "print(json.dumps([str(s.data_dir), s.database_url.get_secret_value(), s.now().isoformat(), s.settle_s,"
        " s.dataverse_client_secret.get_secret_value(), s.dataverse_url, s.rest_secrets['SHOP'].get_secret_value()]))"
    )
    settings = settings.model_copy(update={"rest_secrets": {"SHOP": SecretStr("t0ken")}})
    environment = {**os.environ, **dagster_environment(settings, store_address)}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, check=True
    ).stdout
    url = "postgresql://u:p%40ss@db.example.org/intake"
    assert json.loads(told) == [str(settings.data_dir), url, "2026-11-21T01:00:00+00:00", 0.5, "s3cret", None, "t0ken"]


def test_what_nobody_set_is_not_told(settings: Settings) -> None:
    assert "INTAKE_WEBROPOL_URL" not in settings_environment(settings)


def test_errors_of_steps_are_kept_out_of_dagsters_storage(settings: Settings, store_address: ServerAddress) -> None:
    environment = dagster_environment(settings, store_address)
    assert environment["DAGSTER_REDACT_USER_CODE_ERRORS"] == "1"
    assert environment["INTAKE_DAGSTER_URL"].startswith("postgresql+psycopg2://")


def test_dagsters_home_has_the_projects_instance(settings: Settings) -> None:
    home = dagster_home(settings)
    kept = yaml.safe_load((home / "dagster.yaml").read_text())
    assert home == (settings.data_dir / "dagster").resolve()
    assert kept["telemetry"]["enabled"] is False
    assert kept["run_retries"]["retry_on_asset_or_op_failure"] is False


def test_the_instance_keeps_its_runs_in_postgresql_and_no_output_of_steps(instance: dg.DagsterInstance) -> None:
    assert type(instance.run_storage).__name__ == "PostgresRunStorage"
    assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"
    assert not instance.telemetry_enabled
    assert instance.get_concurrency_config().pool_config.default_pool_limit == 1


def test_the_instance_keeps_its_connections_from_one_event_to_the_next(
    instance: dg.DagsterInstance, store_address: ServerAddress
) -> None:
    name = instance.run_storage.postgres_url.rpartition("/")[2].partition("?")[0]  # type: ignore[attr-defined]

    def connected() -> set[int]:
        with psycopg.connect(store_address.uri_adbc) as conn:
            found = conn.execute("select pid from pg_stat_activity where datname = %s", [name]).fetchall()
        return {pid for (pid,) in found}

    instance.get_runs_count()
    kept = connected()
    assert kept
    for _ in range(3):
        instance.get_runs_count()
    assert connected() == kept


def test_a_run_whose_process_is_no_more_is_closed_and_frees_its_place(instance: dg.DagsterInstance) -> None:
    dead = add_run(instance, process=dead_process())
    alive = add_run(instance, process=os.getpid())
    instance.event_log_storage.initialize_concurrency_limit_to_default("crm")
    assert instance.event_log_storage.claim_concurrency_slot("crm", dead, "step").is_claimed
    assert not instance.event_log_storage.claim_concurrency_slot("crm", alive, "step").is_claimed
    close_dead_runs(instance)
    assert status(instance, dead) is dg.DagsterRunStatus.FAILURE
    assert status(instance, alive) is dg.DagsterRunStatus.STARTED
    assert instance.event_log_storage.claim_concurrency_slot("crm", alive, "step").is_claimed


def test_a_run_whose_daemon_is_no_more_is_closed_and_frees_its_place(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as answering, socket.socket() as at_port:
        answering.bind(str(tmp_path / "server"))
        answering.listen()
        at_port.bind(("127.0.0.1", 0))
        at_port.listen()
        alive = [
            started_by(instance, socket=str(tmp_path / "server")),
            started_by(instance, port=at_port.getsockname()[1]),
            add_run(instance, process=os.getpid()),
        ]
        lost = started_by(instance, socket=str(tmp_path / "gone"))
        instance.event_log_storage.initialize_concurrency_limit_to_default("crm")
        assert instance.event_log_storage.claim_concurrency_slot("crm", lost, "step").is_claimed
        assert close_lost_runs(instance) == 1
    assert status(instance, lost) is dg.DagsterRunStatus.FAILURE
    assert {status(instance, run) for run in alive} == {dg.DagsterRunStatus.STARTED}
    assert instance.event_log_storage.claim_concurrency_slot("crm", alive[0], "step").is_claimed


def test_a_container_that_is_stopped_ends_as_if_interrupted() -> None:
    code = (
        "import os, signal; from pipelines.launch import stop_as_interrupted; stop_as_interrupted()\n"
        "try: os.kill(os.getpid(), signal.SIGTERM)\n"
        "except KeyboardInterrupt: print('let go of everything')"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert told == "let go of everything\n"


def test_a_window_before_the_first_partition_widens_the_partitions(settings: Settings) -> None:
    window = Window(date(2025, 12, 1), date(2026, 1, 2))
    assert covering(settings, window).partitions_first_on == "2025-12-01"
    assert covering(settings, Window(date(2026, 5, 1), date(2026, 5, 1))).partitions_first_on == "2026-01-01"


def test_a_source_that_there_is_not_is_refused_before_anything_starts(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no source newsletters; there are short_courses, webropol"):
        run_in_process(settings, sources=["newsletters"], window=Window(date(2026, 5, 1), date(2026, 5, 1)))


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def add_run(instance: dg.DagsterInstance, *, process: int) -> str:
    run = dg.DagsterRun(
        "crm_sync", tags={PROCESS: str(process), HOST: socket.gethostname()}, status=dg.DagsterRunStatus.STARTED
    )
    return instance.add_run(run).run_id


def started_by(instance: dg.DagsterInstance, **server: Any) -> str:
    """A run that a daemon's server at a socket or a port of this machine has started."""
    tags = {".dagster/grpc_info": json.dumps({"host": "localhost", **server})}
    return instance.add_run(dg.DagsterRun("crm_sync", tags=tags, status=dg.DagsterRunStatus.STARTED)).run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status
