"""Starting Dagster: runs in this process for the command line, and its web UI and daemon beside it.

Both use one instance, kept in the database `dagster` beside the store, so that every run shows in the UI.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from uuid import UUID

import dagster as dg
import psutil
from dagster._core.storage.tags import GRPC_INFO_TAG
from pydantic import SecretStr

from connectors.store.address import ServerAddress
from pipelines.assets.intake import NOUNS, chain_of
from pipelines.definitions import build_definitions
from pipelines.operations.workspace import open_workspace, server_address
from pipelines.processes import running
from pipelines.resources import LentWorkspace, OnEvent
from pipelines.schedules import CRM_SYNC, FINANCE, INTAKE, window_tags
from pipelines.sensors import CRM_FOLLOWS
from pipelines.settings import ENV_FILE, REST_PREFIX, Settings
from schemas.errors import ConfigurationError
from schemas.records import Window

ROOT = Path(__file__).resolve().parents[1]
DAGSTER_URL = "INTAKE_DAGSTER_URL"
DAGSTER_HOME = "DAGSTER_HOME"
# One connection is kept by each of the instance's three stores, never so long that a server has restarted meanwhile.
_STATEMENT_MS, _RECYCLE_S, _MORE_CONNECTIONS = 60_000, 10, 20
PROCESS, HOST = "crm_intake/process", "crm_intake/host"
# No traceback of a step is stored, because what a library says may quote a row; our own messages stay.
QUIET = {
    "DAGSTER_REDACT_USER_CODE_ERRORS": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "GX_ANALYTICS_ENABLED": "false",
}
# The event log has it all; the console is for the command line's own words.
SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
# What follows the sources, in this order: nothing of finance's can keep a withdrawal from the CRM.
FOLLOWING = {"crm": CRM_SYNC, "finance": FINANCE}


@dataclass
class RunSummary:
    """What ran: the Dagster runs in order; by name, a source's or `crm`: `success` or `failure`, and what went wrong.

    A run may succeed and still have problems: a batch that was stopped, a plan that waits.
    """

    window: Window
    run_ids: list[UUID] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether every run succeeded."""
        return set(self.states.values()) <= {"success"}


def run_in_process(
    settings: Settings,
    *,
    sources: Sequence[str],
    window: Window,
    on_event: OnEvent | None = None,
    address: ServerAddress | None = None,
) -> RunSummary:
    """Take in the given sources for a window, one run each, then bring the CRM up to date, in this process.

    A source that fails keeps neither the next nor the CRM back. Raises ConfigurationError for a source that there is
    not, and what opening the workspace raises.
    """
    if unknown := sorted(set(sources) - set(NOUNS)):
        raise ConfigurationError(f"There is no source {', '.join(unknown)}; there are {', '.join(NOUNS)}.")
    address = address or server_address(settings)
    lent = LentWorkspace(open_workspace(settings, address=address), on_event)
    summary = RunSummary(window)
    try:
        definitions = build_definitions(covering(settings, window), workspace=lent)
        with dagster_instance(settings, address) as instance:
            close_dead_runs(instance)
            for source in sources:
                _run(definitions, instance, summary, source)
            for name in FOLLOWING:
                _run(definitions, instance, summary, name)
    finally:
        lent.workspace.engine.dispose()
    return summary


def covering(settings: Settings, window: Window) -> Settings:
    """Settings whose partitions begin no later than the window does."""
    first_on = min(date.fromisoformat(settings.partitions_first_on), window.first_on)
    return settings.model_copy(update={"partitions_first_on": first_on.isoformat()})


def _run(definitions: dg.Definitions, instance: dg.DagsterInstance, summary: RunSummary, name: str) -> None:
    tags = {PROCESS: str(os.getpid()), HOST: socket.gethostname(), CRM_FOLLOWS: "yes"}
    job = definitions.resolve_job_def(FOLLOWING.get(name, INTAKE))
    if job.name == INTAKE:
        tags |= window_tags(str(summary.window.first_on), str(summary.window.last_on))
    result = job.execute_in_process(
        instance=instance,
        tags=tags,
        asset_selection=chain_of([name]) if job.name == INTAKE else None,
        run_config=SILENT,
        raise_on_error=False,
    )
    summary.problems[name] = problems_of(result)
    summary.run_ids.append(UUID(result.run_id))
    summary.states[name] = "success" if result.success else "failure"


def problems_of(result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> list[str]:
    """What failed in a run, in the words of its failures and of its failed checks; of the run itself where no step did."""
    failed = [event for event in result.all_events if event.is_step_failure]
    told = [event.step_failure_data.user_failure_data for event in failed]
    failures = [
        f"{event.step_key}: {data.description if data else 'failed'}" for event, data in zip(failed, told, strict=True)
    ]
    checks = [check for check in result.get_asset_check_evaluations() if not check.passed]
    failures += [f"{check.asset_key.to_user_string()}, {check.check_name}: {check.description}" for check in checks]
    return failures or [_without_trace(event) for event in result.all_events if event.is_job_failure]


def _without_trace(failed: dg.DagsterEvent) -> str:
    error = failed.job_failure_data.error
    words = error.message.partition("\n\n")[0] if error else "The run failed."
    return " ".join(words.split())


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of processes of this machine that are no more as failed, and free what they held.

    Without it a run that was killed would hold its place in the pool until a daemon looks.
    """
    started = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=started, tags={HOST: socket.gethostname()})):
        if not psutil.pid_exists(int(run.tags[PROCESS])):
            instance.report_run_failed(run, "The process of this run ended before the run did.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def dagster_home(settings: Settings) -> Path:
    """Dagster's home under the data directory, with its dagster.yaml as the project has it."""
    home = (settings.data_dir / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", home / "dagster.yaml")
    return home


@contextmanager
def dagster_instance(settings: Settings, address: ServerAddress) -> Iterator[dg.DagsterInstance]:
    """The instance that the UI and the daemon use too."""
    warnings.simplefilter("ignore", dg.BetaWarning)
    with (
        told({**QUIET, DAGSTER_URL: address.dagster.url_psycopg2}),
        dg.DagsterInstance.from_config(str(dagster_home(settings))) as instance,
    ):
        # A run stores some hundred events, each by a connection of its own if they were not kept for a moment.
        instance.optimize_for_webserver(
            statement_timeout=_STATEMENT_MS, pool_recycle=_RECYCLE_S, max_overflow=_MORE_CONNECTIONS
        )
        yield instance


@contextmanager
def told(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with these variables, while the block lasts: Dagster's own code reads them there."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def dagster_environment(settings: Settings, address: ServerAddress) -> dict[str, str]:
    """What a process of Dagster's must be told to work as these settings say, over its starter's environment."""
    return {
        **QUIET,
        **settings_environment(settings),
        DAGSTER_HOME: str(dagster_home(settings)),
        DAGSTER_URL: address.dagster.url_psycopg2,
        ENV_FILE: os.devnull,
    }


def tell_dagster(settings: Settings) -> None:
    """Let Dagster's own code of this process find its instance from now on, unless whoever started it told so."""
    if DAGSTER_URL not in os.environ:
        os.environ.update(dagster_environment(settings, server_address(settings)))


def child_environment(settings: Settings, address: ServerAddress) -> dict[str, str]:
    """The whole environment of a process that works as these settings say: this process's own, and what it is told."""
    return {**os.environ, **dagster_environment(settings, address)}


def settings_environment(settings: Settings) -> dict[str, str]:
    """The variables by which `load_settings` gives the same settings in another process."""
    told = {f"{REST_PREFIX}{name}": _written(secret) for name, secret in settings.rest_secrets.items()}
    for name in (settings.model_fields_set | {"data_dir", "config_dir"}) - {"rest_secrets"}:
        value = getattr(settings, name)
        if value is not None:
            variable = "DATABASE_URL" if name == "database_url" else f"INTAKE_{name.upper()}"
            told[variable] = _written(value)
    return told


def _written(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.resolve())
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@dataclass(frozen=True)
class Listen:
    """Where the web UI listens: loopback only by default, since it has no log-in and whoever reaches it can start runs.

    With `read_only` it refuses whatever would change something, and no daemon runs beside it.
    """

    host: str = "127.0.0.1"
    port: int = 3000
    read_only: bool = False


@dataclass(frozen=True)
class RunningUi:
    """The web UI at `url` and the daemon beside it."""

    url: str
    processes: tuple[subprocess.Popen[bytes], ...]

    def is_running(self) -> bool:
        """Whether neither has ended."""
        return all(process.poll() is None for process in self.processes)


@contextmanager
def served_ui(settings: Settings, listen: Listen, *, address: ServerAddress | None = None) -> Iterator[RunningUi]:
    """The web UI and the daemon as processes of their own, while the block lasts."""
    address = address or server_address(settings)
    workspace = ["-w", str(ROOT / "workspace.yaml")]
    server = ["dagster-webserver", *workspace, "-h", listen.host, "-p", str(listen.port), "--log-level", "warning"]
    daemon = ["dagster-daemon", "run", *workspace, "--log-level", "warning"]
    commands = [[*server, "--read-only"]] if listen.read_only else [server, daemon]
    if not listen.read_only:
        with dagster_instance(settings, address) as instance:
            close_lost_runs(instance)
    with running(commands, child_environment(settings, address), log_dir=dagster_home(settings)) as started:
        _wait_until_listening(listen.host, listen.port, started[0])
        yield RunningUi(f"http://{listen.host}:{listen.port}", tuple(started))


def serve_ui(settings: Settings, listen: Listen) -> None:
    """Serve the UI, with the daemon, until interrupted (KeyboardInterrupt, SIGTERM), or until one of the two ends."""
    stop_as_interrupted()
    with served_ui(settings, listen) as ui:
        while ui.is_running():
            time.sleep(1)


def stop_as_interrupted() -> None:
    """Have SIGTERM, by which a container is stopped, end this process as Ctrl-C does: with all that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def close_lost_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed that the daemon before this one had started and whose server does not answer any more,
    and free what they held; how many they were. They would hold their places for `max_runtime_seconds`.
    """
    under_way = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    lost = [run for run in instance.get_runs(dg.RunsFilter(statuses=under_way)) if _is_lost(run)]
    for run in lost:
        instance.report_run_failed(run, "What had started this run was stopped before the run ended.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(lost)


def _is_lost(run: dg.DagsterRun) -> bool:
    """Whether the server that the run was started by is gone; of a run without one, started by a command, nothing is known."""
    if GRPC_INFO_TAG not in run.tags:
        return False
    server = json.loads(run.tags[GRPC_INFO_TAG])
    family, place = (
        (socket.AF_UNIX, server["socket"]) if "socket" in server else (socket.AF_INET, (server["host"], server["port"]))
    )
    with socket.socket(family) as probe:
        probe.settimeout(2)
        return probe.connect_ex(place) != 0


def _wait_until_listening(host: str, port: int, process: subprocess.Popen[bytes], *, within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.2)
    raise ConfigurationError(
        f"The UI does not come up on {host}:{port}. Is the port taken? Try another with --port; what it said is in "
        "dagster-webserver.log under the data directory's `dagster`."
    )
