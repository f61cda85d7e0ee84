"""The definitions that Dagster loads: assets, checks, jobs, the schedule, sensors. Made when asked for, never at import."""

import warnings
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from connectors.mappings import load_policy
from pipelines.alerting import watch
from pipelines.assets.calls import calls_asset
from pipelines.assets.crm import crm_assets
from pipelines.assets.finance import finance_assets
from pipelines.assets.intake import Days, intake_assets
from pipelines.assets.ops import ops_assets
from pipelines.assets.retention import store_retention_asset
from pipelines.assets.statistics import statistics_asset
from pipelines.assets.steps import TRANSIENT
from pipelines.checks.gate import gate_checks
from pipelines.resources import WorkspaceResource
from pipelines.schedules import calls_job, crm_job, finance_job, intake_job, nightly, retention_job
from pipelines.sensors import (
    calls_waiting,
    crm_sync_after_intake,
    crm_sync_again,
    dropped_files,
    finance_after_intake,
    retention_after_failed_sync,
)
from pipelines.settings import Settings, load_settings
from pipelines.workers import executor_of

CODE_VERSION = "1"
OWNERS = ["team:intake"]
# The night's run is at two; a day and a half without one is worth a warning, and two days an alarm.
FRESHNESS = {"core": (36, 48)}


@dg.definitions
def defs() -> dg.Definitions:
    """What the environment's settings ask for."""
    return build_definitions(load_settings())


def build_definitions(settings: Settings, *, workspace: object | None = None) -> dg.Definitions:
    """The definitions under the given settings; `workspace` stands in for the one the environment names."""
    timezone = load_policy(settings.config_dir).organisation.timezone
    days = days_received(settings, timezone)
    with warnings.catch_warnings():
        # Backfill policies are called beta at every asset that has one; the version is pinned.
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [
            *intake_assets(days, TRANSIENT),
            *crm_assets(TRANSIENT),
            *ops_assets(TRANSIENT),
            *finance_assets(TRANSIENT),
            calls_asset(TRANSIENT),
            statistics_asset(TRANSIENT),
            store_retention_asset(TRANSIENT),
        ]
    intake, crm, finance, calls, retention = intake_job(), crm_job(), finance_job(), calls_job(), retention_job()
    return dg.Definitions(
        assets=dg.map_asset_specs(with_policies, assets),
        asset_checks=gate_checks(),
        jobs=[intake, crm, finance, calls, retention],
        schedules=[nightly(intake, timezone)],
        sensors=[
            dropped_files(intake, timezone),
            crm_sync_after_intake(crm),
            crm_sync_again(crm),
            finance_after_intake(finance),
            retention_after_failed_sync(retention),
            calls_waiting(calls),
            watch(),
        ],
        resources={"workspace": workspace or WorkspaceResource()},
        executor=executor_of(settings),
    )


def with_policies(spec: dg.AssetSpec) -> dg.AssetSpec:
    """What holds for every asset, said once: its owner, the version of its code, its system, how fresh it is to be."""
    layer, _, rest = spec.key.to_user_string().partition("_")
    own = {"raw": rest.split("__")[0], "finance": "finance"}
    own |= {"staged": own["raw"], "core": own["raw"]}
    system = own.get(spec.group_name or "", "dataverse")
    freshness = FRESHNESS.get(layer)
    return spec.replace_attributes(
        owners=OWNERS,
        code_version=CODE_VERSION,
        tags={**spec.tags, "system": system},
        freshness_policy=freshness and _fresh(*freshness),
    )


def _fresh(warn_h: int, fail_h: int) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=fail_h), warn_window=timedelta(hours=warn_h))


def days_received(settings: Settings, timezone: str) -> Days:
    """Days from the settings' first to today, in the organisation's timezone; today can be run before it is over."""
    today = datetime.now(ZoneInfo(timezone)).date()
    ahead = (settings.now().astimezone(ZoneInfo(timezone)).date() - today).days
    partitions = dg.DailyPartitionsDefinition(
        start_date=_known_day(settings.partitions_first_on), timezone=timezone, end_offset=max(ahead, 0) + 1
    )
    per_run = settings.partitions_per_run
    return Days(partitions, dg.BackfillPolicy.multi_run(per_run) if per_run else dg.BackfillPolicy.single_run())


def _known_day(first_on: str) -> str:
    return date.fromisoformat(first_on).isoformat()
