"""What Dagster is told: a snapshot of assets, dependencies, checks, schedule and sensors, and how they are loaded."""

import os
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml
from dagster._core.storage.tags import BACKFILL_ID_TAG

from pipelines.cluster import RUNS_AT_ONCE
from pipelines.definitions import build_definitions
from pipelines.operations.workspace import Workspace
from pipelines.schedules import CRM_CALLS, CRM_SYNC, INTAKE, RANGE_END, RANGE_START
from pipelines.settings import load_settings
from schemas.errors import StoreUnavailable

ROOT = Path(__file__).parents[2]
SOURCES = {
    "manual": "entries",
    "short_courses": "registrations",
    "web_forms": "submissions",
    "webropol": "responses",
}
CORES = {f"core_{source}__{noun}" for source, noun in SOURCES.items()}
CRM = ["plan", "lowering", "contacts", "consents", "events", "registrations", "corrections", "flags", "removals"]
DEPENDENCIES: dict[str, set[str]] = {
    **{f"raw_{source}__{noun}": set() for source, noun in SOURCES.items()},
    **{f"staged_{source}__{noun}": {f"raw_{source}__{noun}"} for source, noun in SOURCES.items()},
    **{f"core_{source}__{noun}": {f"staged_{source}__{noun}"} for source, noun in SOURCES.items()},
    "crm__plan": CORES,
    **{f"crm__{name}": {f"crm__{before}"} for before, name in pairwise(CRM)},
    "ops__reconciliation": {"crm__removals"},
    "ops__images": {"crm__removals"},
    "ops__retention": {"ops__reconciliation"},
    "ops__quarantine": CORES,
    "ops__funnel": CORES | {"crm__removals"},
    "ops__statistics": CORES,
    "finance__entries": {f"raw_{source}__{noun}" for source, noun in SOURCES.items()},
    "finance__retention": {"finance__entries"},
    "calls__people": set(),
    "retention__store": set(),
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(load_settings(config_dir=ROOT / "config"))


def test_assets_and_their_dependencies_are_these(definitions: dg.Definitions) -> None:
    specs = definitions.resolve_all_asset_specs()
    found = {s.key.to_user_string(): {dep.asset_key.to_user_string() for dep in s.deps} for s in specs}
    assert found == DEPENDENCIES


def test_groups_go_by_layer_and_only_the_intake_is_partitioned(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.group_name == name.split("_")[0]
        assert (spec.partitions_def is not None) == (spec.group_name in ("raw", "staged", "core"))


def test_every_asset_has_owner_version_kind_and_words(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        assert spec.owners
        assert spec.code_version
        assert spec.kinds
        assert spec.description
        assert (spec.freshness_policy is not None) == (spec.group_name == "core")


def test_every_step_retries_what_may_pass(definitions: dg.Definitions) -> None:
    for assets in definitions.resolve_asset_graph().assets_defs:
        if isinstance(assets, dg.AssetChecksDefinition):
            continue
        policy = assets.op.retry_policy
        assert policy is not None
        assert policy.max_retries == 3
        assert policy.backoff is dg.Backoff.EXPONENTIAL


def test_only_the_gate_blocks(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = {f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys}
    blocking = {
        f"{key.asset_key.to_user_string()}:{key.name}"
        for key in graph.asset_check_keys
        if graph.get_check_spec(key).blocking
    }
    staged = {f"staged_{source}__{noun}" for source, noun in SOURCES.items()}
    raw = {f"raw_{source}__{noun}:feeds_delivered" for source, noun in SOURCES.items()}
    own = {"crm__plan:within_blast_radius", "crm__plan:set_up_protects_people", "ops__reconciliation:zero_unexplained"}
    own |= {"ops__quarantine:nothing_overdue", "ops__retention:nothing_overdue", "finance__entries:deliveries_read"}
    assert blocking == {f"{name}:gate" for name in staged}
    assert checks == blocking | {f"{name}:batches" for name in staged} | raw | own


def test_steps_that_write_to_the_crm_share_a_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pools = {key.to_user_string(): assets.op.pool for assets in graph.assets_defs for key in assets.keys}
    writers = {f"crm__{name}" for name in CRM} | {"ops__reconciliation", "ops__retention"}
    assert {name for name, pool in pools.items() if pool} == writers


def test_what_people_wait_for_goes_ahead_of_a_backfill_and_finds_room_beside_it(definitions: dg.Definitions) -> None:
    tags = {name: definitions.resolve_job_def(name).tags for name in (INTAKE, CRM_SYNC, CRM_CALLS)}
    ahead = [int(tags[name].get("dagster/priority", 0)) for name in (INTAKE, CRM_SYNC, CRM_CALLS)]
    assert ahead == sorted(set(ahead))
    # The broker's queue knows ten places, and Dagster's step is put in the fifth of them.
    over = [int(tags[name].get("dagster-celery/run_priority", 0)) for name in (INTAKE, CRM_SYNC, CRM_CALLS)]
    assert over == sorted(set(over)) and over[0] == 0 and 5 + over[-1] <= 10
    runs = yaml.safe_load((ROOT / "dagster.yaml").read_text())["concurrency"]["runs"]
    of_intake, of_backfills = runs["tag_concurrency_limits"]
    assert tags[INTAKE][of_intake["key"]] == of_intake["value"]
    # A backfill of assets is no job of ours and has none of its tags: Dagster gives each of its runs this one.
    assert (of_backfills["key"], "value" in of_backfills) == (BACKFILL_ID_TAG, False)
    assert of_intake["limit"] == of_backfills["limit"] == RUNS_AT_ONCE < runs["max_concurrent_runs"]
    assert of_intake["key"] not in tags[CRM_SYNC] and of_intake["key"] not in tags[CRM_CALLS]


def test_only_the_sensors_that_follow_the_intake_or_people_are_on_from_the_start(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs} == {
        "calls_waiting": "RUNNING",
        "crm_sync_after_intake": "RUNNING",
        "crm_sync_again": "RUNNING",
        "dropped_files": "STOPPED",
        "finance_after_intake": "RUNNING",
        "retention_after_failed_sync": "RUNNING",
        "watch": "RUNNING",
    }
    [nightly] = repository.schedule_defs
    assert (nightly.name, nightly.cron_schedule, nightly.execution_timezone) == (
        "nightly",
        "0 2 * * *",
        "Europe/Helsinki",
    )
    assert nightly.default_status is dg.DefaultScheduleStatus.STOPPED


class AwayStore:
    """A workspace whose store cannot be opened."""

    def open(self) -> Workspace:
        raise StoreUnavailable("The store does not answer.")


def test_the_night_takes_yesterday_and_the_day_just_begun_also_where_the_store_is_away(
    definitions: dg.Definitions,
) -> None:
    repository = definitions.get_repository_def()
    [nightly] = repository.schedule_defs
    at = datetime(2026, 3, 30, 2, tzinfo=ZoneInfo("Europe/Helsinki"))  # the day after the clocks went forward
    context = dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=repository, resources={"workspace": AwayStore()}
    )
    [request] = nightly.evaluate_tick(context).run_requests or []
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-03-29", "2026-03-30")


@pytest.mark.parametrize(("per_run", "most"), [(0, None), (7, 7)])
def test_a_setting_says_how_many_days_a_run_of_a_backfill_takes(per_run: int, most: int | None) -> None:
    definitions = build_definitions(load_settings(config_dir=ROOT / "config", partitions_per_run=per_run))
    policies = {a.backfill_policy for a in definitions.resolve_asset_graph().assets_defs if a.partitions_def}
    assert {policy.max_partitions_per_run for policy in policies if policy} == {most}


def test_partitions_begin_on_the_settings_first_day_and_end_today() -> None:
    settings = load_settings(config_dir=ROOT / "config", partitions_first_on="2026-01-05")
    [days] = {s.partitions_def for s in build_definitions(settings).resolve_all_asset_specs() if s.partitions_def}
    keys = days.get_partition_keys()
    assert keys[0] == "2026-01-05"
    assert keys[-1] == str(datetime.now(ZoneInfo("Europe/Helsinki")).date())


def test_importing_the_definitions_reads_no_setting(tmp_path: Path) -> None:
    wrong = {**os.environ, "INTAKE_PARTITIONS_PER_RUN": "many", "INTAKE_CONFIG_DIR": str(tmp_path / "nowhere")}
    code = "import pipelines.definitions as d; print(type(d.defs).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=wrong, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "LazyDefinitions"), done.stderr


def test_dg_check_defs_passes(tmp_path: Path) -> None:
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    dg_command = str(Path(sys.executable).with_name("dg"))
    done = subprocess.run(
        [dg_command, "check", "defs"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
