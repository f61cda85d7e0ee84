"""A deployment on workers, from one machine: workers as processes, and a window of days spread over them.

In life the workers are containers on several machines (docs/deploy.md); what they do is the same.
"""

import multiprocessing
import multiprocessing.context
import os
import socket
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import dagster as dg

from connectors.store.address import ServerAddress
from pipelines.assets.intake import chain_of
from pipelines.definitions import build_definitions
from pipelines.launch import (
    FOLLOWING,
    HOST,
    PROCESS,
    SILENT,
    RunSummary,
    child_environment,
    close_dead_runs,
    dagster_environment,
    dagster_home,
    dagster_instance,
    problems_of,
    run_in_process,
    told,
)
from pipelines.operations.workspace import server_address
from pipelines.processes import start, stop
from pipelines.resources import OnEvent
from pipelines.schedules import CRM_SYNC, FINANCE, INTAKE, window_tags
from pipelines.sensors import CRM_FOLLOWS
from pipelines.settings import Settings, load_settings
from pipelines.workers import with_broker
from schemas.errors import ConfigurationError
from schemas.records import Window

# As dagster.yaml has it for the daemon's runs of the intake.
RUNS_AT_ONCE = 4


def intake() -> dg.JobDefinition:
    """The intake as a worker finds it by name, under the settings of its environment."""
    return build_definitions(load_settings()).resolve_job_def(INTAKE)


def crm_sync() -> dg.JobDefinition:
    """The synchronisation as a worker finds it by name, under the settings of its environment."""
    return build_definitions(load_settings()).resolve_job_def(CRM_SYNC)


def finance() -> dg.JobDefinition:
    """Finance's job as a worker finds it by name, under the settings of its environment."""
    return build_definitions(load_settings()).resolve_job_def(FINANCE)


JOBS = {"crm": crm_sync, "finance": finance}


@contextmanager
def local_workers(
    settings: Settings, count: int, *, address: ServerAddress | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers of this machine while the block lasts; what each says is in `worker-N.log` of Dagster's home."""
    address = address or server_address(settings)
    crew: list[subprocess.Popen[bytes]] = []
    try:
        crew.extend(start_worker(settings, number, address=address) for number in range(1, count + 1))
        yield crew
    finally:
        stop(crew)


def start_worker(settings: Settings, number: int, *, address: ServerAddress) -> subprocess.Popen[bytes]:
    """One worker of this machine."""
    environment = child_environment(with_broker(settings, address), address)
    name = f"worker-{number}"
    command = ["crm-intake", "worker", "--name", name]
    return start(command, environment, log_dir=dagster_home(settings), log_name=name)


def replace_ended(crew: list[subprocess.Popen[bytes]], settings: Settings, *, address: ServerAddress) -> int:
    """Start each worker of this machine anew that has ended, as a container would be; how many they were."""
    ended = [place for place, one in enumerate(crew) if one.poll() is not None]
    for place in ended:
        crew[place] = start_worker(settings, place + 1, address=address)
    return len(ended)


def run_as_set(
    settings: Settings,
    *,
    sources: Sequence[str],
    window: Window,
    on_event: OnEvent | None = None,
    address: ServerAddress | None = None,
) -> RunSummary:
    """Take a window in, then see to the CRM, by the executor that the settings name; `on_event` hears of each step.

    On workers they are not heard here: what they do shows in Dagster's pages.
    """
    if settings.executor == "celery":
        return run_on_workers(settings, sources=sources, window=window, address=address)
    return run_in_process(settings, sources=sources, window=window, on_event=on_event, address=address)


def run_on_workers(
    settings: Settings, *, sources: Sequence[str], window: Window, address: ServerAddress | None = None
) -> RunSummary:
    """Take a window in on the workers, `partitions_per_run` days a run, several runs at once; then see to the CRM.

    This process only hands out the steps and waits. A part that fails keeps neither the others nor the CRM back.
    Raises ConfigurationError where the window begins before the days that the workers know.
    """
    address = address or server_address(settings)
    if window.first_on < date.fromisoformat(settings.partitions_first_on):
        raise ConfigurationError(
            f"The workers know no day before {settings.partitions_first_on}; set INTAKE_PARTITIONS_FIRST_ON for them."
        )
    settings = with_broker(settings, address)
    with dagster_instance(settings, address) as instance:
        close_dead_runs(instance)
    parts = [_Part(INTAKE, part, tuple(sources)) for part in cut(window, settings.partitions_per_run)]
    hand_out = partial(_hand_out, settings, address)
    summary = RunSummary(window)
    # Processes, since Dagster sets up logging anew for each run, and threads that do so at once lock each other out.
    with ProcessPoolExecutor(RUNS_AT_ONCE, mp_context=_forkserver()) as pool:
        _note(summary, pool.map(hand_out, parts))
        for name in FOLLOWING:
            _note(summary, pool.map(hand_out, [_Part(name)]))
    return summary


def _note(summary: RunSummary, ended: Iterable["_Ended"]) -> None:
    for one in ended:
        summary.run_ids.append(one.run_id)
        summary.states[one.name] = one.state
        summary.problems[one.name] = one.problems


def cut(window: Window, days_a_run: int) -> list[Window]:
    """A window in parts of so many days (0: one part), in order; the last may be shorter."""
    days = (window.last_on - window.first_on).days + 1
    step = days_a_run or days
    firsts = [window.first_on + timedelta(days=start) for start in range(0, days, step)]
    return [Window(first, min(first + timedelta(days=step - 1), window.last_on)) for first in firsts]


@dataclass(frozen=True)
class _Ended:
    """One run that was handed out: its name in the summary, and what became of it."""

    name: str
    run_id: UUID
    state: str
    problems: list[str]


@dataclass(frozen=True)
class _Part:
    """One run to hand out: a job by its name here; the intake with its days and sources."""

    job: str
    window: Window | None = None
    sources: tuple[str, ...] = ()


def _hand_out(settings: Settings, address: ServerAddress, part: _Part) -> _Ended:
    """One run in a process of its own, which waits for its steps."""
    with told(dagster_environment(settings, address)), dagster_instance(settings, address) as instance:
        if part.window is None:
            return _ended(part.job, execute(JOBS[part.job], instance, tags={}))
        days = (str(part.window.first_on), str(part.window.last_on))
        result = execute(intake, instance, tags=window_tags(*days), asset_selection=chain_of(part.sources))
        return _ended(" to ".join(days), result)


def _ended(name: str, result: dg.JobExecutionResult) -> _Ended:
    return _Ended(name, UUID(result.run_id), "success" if result.success else "failure", problems_of(result))


def execute(
    job: Callable[[], dg.JobDefinition], instance: dg.DagsterInstance, *, tags: dict[str, str], **options: Any
) -> dg.JobExecutionResult:
    """One run of a job that workers can find by name; this process waits for its steps."""
    marked = {**tags, PROCESS: str(os.getpid()), HOST: socket.gethostname(), CRM_FOLLOWS: "yes"}
    # Celery warns at each step that Dagster makes its task anew; it is the same one.
    warnings.filterwarnings("ignore", category=UserWarning, module="dagster_celery")
    return dg.execute_job(dg.reconstructable(job), instance, run_config=SILENT, tags=marked, **options)


def _forkserver() -> multiprocessing.context.BaseContext:
    """Processes forked from one that has the pipeline imported, and no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context
