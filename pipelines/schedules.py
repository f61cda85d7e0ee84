"""Jobs and the schedule: the intake by days, the synchronisation of the CRM, and the night."""

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.assets.intake import LAYERS, NOUNS
from pipelines.assets.steps import FROM_UNREAD
from pipelines.operations.sessions import Session
from pipelines.operations.unread import unread_window
from pipelines.resources import WorkspaceResource
from schemas.errors import IntakeError
from schemas.records import Window

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
    """What is not wholly read yet, at two o'clock: yesterday, the day just begun, and what failed nights left before them.

    The run's days are those of the source that is furthest behind; each other is read from where it was left itself.
    The CRM follows by the sensor `crm_sync_after_intake`.
    """

    @dg.schedule(
        job=job,
        name="nightly",
        cron_schedule=NIGHTLY_CRON,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="The intake of yesterday, today and what failed nights left, at 02:00. Off until it is turned on.",
    )
    def night(context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource) -> dg.RunRequest:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(timezone)).date()
        first_on = today - timedelta(days=1)
        with suppress(IntakeError):  # of a store that is away the run tells, and the next night goes further back
            first_on = min(first_on, _unread(workspace).first_on)
        return dg.RunRequest(run_key=str(today), tags={**window_tags(str(first_on), str(today)), **FROM_UNREAD})

    return night


def _unread(workspace: WorkspaceResource) -> Window:
    return unread_window(Session(workspace.open()), list(NOUNS))


def window_tags(first: str, last: str) -> dict[str, str]:
    """The tags by which Dagster knows that one run is for several partitions, both inclusive."""
    return {RANGE_START: first, RANGE_END: last}
