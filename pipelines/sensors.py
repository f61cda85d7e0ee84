"""Sensors: files that were dropped are taken in on the day they came, and the CRM follows every intake, good or bad."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from connectors.drop_places import drop_place
from connectors.mappings import load_mappings
from connectors.settled_files import SettledFile, settled_files
from connectors.store.narrow_calls import awaited
from connectors.store.reports import is_anything_left
from pipelines.assets.intake import NOUNS, chain_of
from pipelines.resources import WorkspaceResource
from pipelines.schedules import CRM_SYNC
from pipelines.settings import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

# On runs that see to the CRM themselves, as the command line's do.
CRM_FOLLOWS = "crm_intake/crm_follows"
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
LOOK_EVERY_S = 30
LONGEST_PAUSE, _LOOKED_BACK = timedelta(hours=1), 8


def dropped_files(job: "AssetJob", timezone: str) -> dg.SensorDefinition:
    """Asks for an intake of each day and source for which a new file has settled; the same file is asked for once."""

    @dg.sensor(
        job=job,
        name="dropped_files",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Takes in files soon after they are dropped. Off until it is turned on; the night takes them too.",
    )
    def look(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
        files = files_of(workspace.settings())
        known = set(json.loads(context.cursor or "[]"))
        new = [file for file in files if file.look not in known]
        requests = requests_for(
            new, timezone=timezone, first_on=date.fromisoformat(workspace.settings().partitions_first_on)
        )
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(sorted(file.look for file in files)))

    return look


def files_of(settings: Settings) -> list[SettledFile]:
    """The files in the drop folder, or at its URL, that have settled. A store is listed at every look, never watched."""
    settled_before = datetime.now(UTC) - timedelta(seconds=settings.settle_s)
    mappings = load_mappings(settings.config_dir).values()
    place = drop_place(settings.drop_location(), settings.drop_options())
    return settled_files(place, mappings, before=settled_before)


def requests_for(files: list[SettledFile], *, timezone: str, first_on: date) -> list[dg.RunRequest]:
    """One run per source and day received, known by what the files hold."""
    told: dict[tuple[str, date], list[SettledFile]] = {}
    for file in files:
        day = max(file.modified_at.astimezone(ZoneInfo(timezone)).date(), first_on)
        told.setdefault((file.source, day), []).append(file)
    return [_request(source, day, group) for (source, day), group in sorted(told.items())]


def _request(source: str, day: date, files: list[SettledFile]) -> dg.RunRequest:
    contents = hashlib.sha256("".join(sorted(file.content_hash() for file in files)).encode()).hexdigest()
    return dg.RunRequest(
        run_key=f"{source}:{day}:{contents[:16]}", partition_key=str(day), asset_selection=chain_of([source])
    )


def crm_sync_after_intake(job: "AssetJob") -> dg.SensorDefinition:
    """Asks for a synchronisation when runs of the intake have ended, however they ended.

    One bad source keeps neither the others nor a withdrawal back. Several runs that ended are followed by one.
    """
    words = "The CRM follows every intake, whether it succeeded or failed. On from the start."
    return _after(intake_runs_ended, job, "crm_sync_after_intake", words)


def finance_after_intake(job: "AssetJob") -> dg.SensorDefinition:
    """Asks for finance's own job in the same way, and for nothing of the CRM."""
    words = "Finance takes its columns after every intake. On from the start."
    return _after(intake_runs_ended, job, "finance_after_intake", words)


def retention_after_failed_sync(job: "AssetJob") -> dg.SensorDefinition:
    """Asks for the store's own deletions when a synchronisation of the CRM has failed, and so has not come to them."""
    words = "What is overdue in the store does not wait for a CRM that fails. On from the start."
    return _after(syncs_failed, job, "retention_after_failed_sync", words)


def _after(
    ended_since: Callable[[dg.DagsterInstance, datetime], list[dg.RunRecord]],
    job: "AssetJob",
    name: str,
    description: str,
) -> dg.SensorDefinition:
    @dg.sensor(
        job=job,
        name=name,
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )
    def follow(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        since = datetime.fromisoformat(context.cursor) if context.cursor else datetime.now(UTC)
        ended = ended_since(context.instance, since)
        if not ended:
            return dg.SensorResult(
                skip_reason="Nothing to follow has ended since the last look.", cursor=since.isoformat()
            )
        latest = max(record.update_timestamp for record in ended).replace(tzinfo=UTC).isoformat()
        if context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=WAITING)):
            return dg.SensorResult(skip_reason="A run is waiting to start, and will see it.", cursor=latest)
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"after:{latest}")], cursor=latest)

    return follow


def crm_sync_again(job: "AssetJob") -> dg.SensorDefinition:
    """Asks once more for a synchronisation that failed, after 2, 4, 8 minutes and at last each hour, while anything is left.

    What was taken in meanwhile may be a withdrawal, and the next intake may be a night away.
    """

    @dg.sensor(
        job=job,
        name="crm_sync_again",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A synchronisation that failed is tried again until it succeeds or nothing is left. On from the start.",
    )
    def look(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
        newest = list(context.instance.get_run_records(dg.RunsFilter(job_name=job.name), limit=_LOOKED_BACK))
        failed = list(takewhile(lambda record: record.dagster_run.status is dg.DagsterRunStatus.FAILURE, newest))
        if not failed:
            return dg.SensorResult(skip_reason="The last synchronisation did not fail, or one is under way.")
        pause = min(timedelta(minutes=2 ** len(failed)), LONGEST_PAUSE)
        due_at = failed[0].update_timestamp.replace(tzinfo=UTC) + pause
        if datetime.now(UTC) < due_at:
            return dg.SensorResult(skip_reason=f"It is tried again at {due_at:%H:%M:%S} UTC.")
        with workspace.open().transaction() as conn:
            if not is_anything_left(conn):
                return dg.SensorResult(skip_reason="Nothing is left to be sent.")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"again:{failed[0].dagster_run.run_id}")])

    return look


def calls_waiting(job: "AssetJob") -> dg.SensorDefinition:
    """Asks for a narrow synchronisation when somebody waits for one: where no `preferences sync` runs, or it ended."""

    @dg.sensor(
        job=job,
        name="calls_waiting",
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="The CRM follows what people do on the preference page, also where no `preferences sync` runs.",
    )
    def look(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult:
        with workspace.open().transaction() as conn:
            waiting = awaited(conn)
        if waiting.since is None:
            return dg.SensorResult(skip_reason="Nobody waits.")
        if context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=[*WAITING, *UNDER_WAY])):
            return dg.SensorResult(skip_reason="A narrow synchronisation is under way.")
        return dg.SensorResult(run_requests=[dg.RunRequest()])

    return look


def intake_runs_ended(instance: dg.DagsterInstance, since: datetime) -> list[dg.RunRecord]:
    """Runs that took a source in and ended after an instant, save those whose starter sees to the CRM."""
    records = instance.get_run_records(dg.RunsFilter(statuses=FINISHED, updated_after=since), limit=500)
    return [record for record in records if _took_in(record.dagster_run)]


def syncs_failed(instance: dg.DagsterInstance, since: datetime) -> list[dg.RunRecord]:
    """Synchronisations of the CRM that failed after an instant."""
    failed = dg.RunsFilter(job_name=CRM_SYNC, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    return list(instance.get_run_records(failed, limit=500))


def _took_in(run: dg.DagsterRun) -> bool:
    chains = set(chain_of(list(NOUNS)))
    is_intake = run.job_name == "intake" or bool(chains & set(run.asset_selection or ()))
    return is_intake and CRM_FOLLOWS not in run.tags
