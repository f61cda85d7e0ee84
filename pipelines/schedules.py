"""Jobs and the schedule: the intake by days, the synchronisation of the CRM, and the night."""

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.assets.intake import LAYERS

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

INTAKE, CRM_SYNC, FINANCE, CRM_CALLS, RETENTION = "intake", "crm_sync", "finance", "crm_calls", "retention"
NIGHTLY_CRON = "0 2 * * *"
# Of a job's runs: what kind they are, for the limit in dagster.yaml that leaves the others room beside a backfill.
KIND = "crm_intake/kind"
# A run whose process died begins anew: what it staged and planned is known by its own id.
FROM_THE_START = {"dagster/retry_strategy": "ALL_STEPS"}
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def intake_job() -> "AssetJob":
    """All sources, by days received."""
    return dg.define_asset_job(
        INTAKE,
        selection=dg.AssetSelection.groups(*LAYERS),
        description="Take in what every source gave on the chosen days. Running a day again is always safe.",
        tags={KIND: INTAKE, **FROM_THE_START},
    )


def crm_job() -> "AssetJob":
    """The CRM brought up to date with the ledger, then proven to be."""
    return dg.define_asset_job(
        CRM_SYNC,
        selection=dg.AssetSelection.groups("crm", "ops"),
        description="Bring the CRM up to date with the ledger: withdrawals first. Needs no partition.",
        tags={**ahead_by(2), **FROM_THE_START},
    )


def finance_job() -> "AssetJob":
    """Finance's own columns, under its own role; nothing of the CRM waits for it."""
    return dg.define_asset_job(
        FINANCE,
        selection=dg.AssetSelection.groups("finance"),
        description="Take finance's columns out of what was landed, and let go of what the law keeps no longer.",
    )


def calls_job() -> "AssetJob":
    """The narrow synchronisation."""
    return dg.define_asset_job(
        CRM_CALLS,
        selection=dg.AssetSelection.groups("calls"),
        description="Tell the CRM at once of what people did on the preference page, beside whatever else runs.",
        tags=ahead_by(5),
    )


def retention_job() -> "AssetJob":
    """The store's own deletions, where the CRM's job did not come to them."""
    return dg.define_asset_job(
        RETENTION,
        selection=dg.AssetSelection.groups("retention"),
        description="Let go in the store of what is overdue; the CRM's job does so in both, and this where that fails.",
    )


def ahead_by(places: int) -> dict[str, str]:
    """The tags of runs that go before what waits: in Dagster's queue, and, up to 5, in that of the workers' broker.

    A broker that is a database knows no order of its own.
    """
    return {"dagster/priority": str(places), "dagster-celery/run_priority": str(places)}


def nightly(job: "AssetJob", timezone: str) -> dg.ScheduleDefinition:
    """Yesterday and the day just begun, at two o'clock; the CRM follows by the sensor `crm_sync_after_intake`."""

    @dg.schedule(
        job=job,
        name="nightly",
        cron_schedule=NIGHTLY_CRON,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="The intake of yesterday and today at 02:00. Off until it is turned on.",
    )
    def night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(timezone)).date()
        return dg.RunRequest(run_key=str(today), tags=window_tags(str(today - timedelta(days=1)), str(today)))

    return night


def window_tags(first: str, last: str) -> dict[str, str]:
    """The tags by which Dagster knows that one run is for several partitions, both inclusive."""
    return {RANGE_START: first, RANGE_END: last}
