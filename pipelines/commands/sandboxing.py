"""`demo`, `sandbox serve`, `ui`, `store stop`: the pipeline over stand-ins, to watch and to play with."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.progress import Progress, TaskID

from connectors.store.server import stop_server
from pipelines.commands.clients import client_for
from pipelines.commands.console import (
    CONSOLE,
    OUTSIDE_FAILED,
    ConfigOption,
    JsonOption,
    print_json,
    print_table,
    settings_for,
    speaking,
)
from pipelines.commands.running import SOURCES, print_counts, progress, report_of
from pipelines.operations.planning import approve_plan
from pipelines.operations.reconciliation import Reconciliation, reconcile
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import open_workspace
from pipelines.settings import Settings, load_settings
from schemas.records import Window

SANDBOX = typer.Typer(help="Stand-ins for every outside system.", no_args_is_help=True)
STORE = typer.Typer(help="The embedded database server.", no_args_is_help=True)

DEMO_DIR = Path(".intake/demo")
FIXED_PORTS = (8451, 8452, 8453)
DAILY_RUNS = 3
DEMO_APPROVER = "demo operator"

PeopleOption = Annotated[int, typer.Option(help="Synthetic people.", min=20)]
DaysOption = Annotated[int, typer.Option(help="Days of history.", min=5, max=365)]
SeedOption = Annotated[int, typer.Option(help="The same seed makes the same organisation.")]


def demo(
    people: PeopleOption = 5000,
    days: DaysOption = 60,
    seed: SeedOption = 1,
    directory: Annotated[Path, typer.Option("--dir", help="Made anew each time.")] = DEMO_DIR,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """A whole synthetic organisation through the real pipeline into the Dataverse emulator, over HTTPS."""
    with speaking():
        _forget(directory)
        settings = _sandbox_settings(settings_for(config), directory)
        result = run_demo(settings, people=people, days=days, seed=seed)
    if as_json:
        print_json(result)
    else:
        _show_demo(result)
    raise typer.Exit(OUTSIDE_FAILED if result["failed"] or result["unexplained"] else 0)


def run_demo(settings: Settings, *, people: int, days: int, seed: int) -> dict[str, Any]:
    """A backfill of all but the last days in one run, then day by day; returns counts and the reconciliation."""
    from pipelines.demo import SandboxPlan, run_sandbox, write_env_file

    plan = SandboxPlan(seed=seed, people=people, days=days, until=_yesterday(settings))
    backfill = Window(plan.first_on, plan.until - timedelta(days=DAILY_RUNS))
    daily = [plan.until - timedelta(days=n) for n in reversed(range(DAILY_RUNS))]
    windows = [backfill, *(Window(day, day) for day in daily)]
    with run_sandbox(settings, plan) as sandbox, progress() as bar:
        write_env_file(sandbox.environment, settings.data_dir / "intake.env")
        settings = load_settings(**_overrides(sandbox.environment), config_dir=settings.config_dir)
        session = Session(open_workspace(settings))
        task = bar.add_task("starting", total=len(windows))
        reports: list[dict[str, Any]] = []
        approved: list[str] = []
        for window in windows:
            sandbox.show_through(window.last_on)
            sandbox.drop(window.first_on, window.last_on)
            say = partial(_describe, bar, task, f"{window.first_on} to {window.last_on}: ")
            reports += _run_and_approve(session, window, approved, say=say)
            bar.advance(task)
        with client_for(session.workspace) as crm:
            outcome = reconcile(session, crm)
        session.workspace.engine.dispose()
    return _demo_result(reports, approved, outcome, settings)


def _describe(bar: Progress, task: TaskID, window: str, text: str) -> None:
    bar.update(task, description=window + text)


def _run_and_approve(
    session: Session, window: Window, approved: list[str], *, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One run; a plan that is larger than the blast radius is approved, as a person would, and sent."""
    from pipelines.launch import run_in_process

    settings = session.workspace.settings
    reports = [report_of(session, run_in_process(settings, sources=SOURCES, window=window, on_event=say))]
    waiting = reports[0]["waiting_plan"]
    if waiting is not None:
        with session.transaction() as conn:
            approve_plan(conn, waiting["plan_id"], by=DEMO_APPROVER, session=session)
        approved.append(waiting["plan_id"])
        reports.append(report_of(session, run_in_process(settings, sources=[], window=window, on_event=say)))
    return reports


def _demo_result(
    reports: list[dict[str, Any]], approved: list[str], outcome: Reconciliation, settings: Settings
) -> dict[str, Any]:
    return {
        "counts": _summed([row for report in reports for row in report["counts"]], by=("source", "feed")),
        "writes": _summed(
            [row for report in reports for row in report["writes"] if row["state"] != "waiting"],
            by=("phase", "table", "state"),
        ),
        "approved": approved,
        "compared": outcome.compared,
        "explained": dict(outcome.explained),
        "unexplained": outcome.unexplained,
        "failed": [name for report in reports for name in report["failed"]],
        "data_dir": str(settings.data_dir),
    }


def _summed(rows: list[dict[str, Any]], *, by: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows added up by their names; numbers are summed, and so are the reasons beneath them."""
    sums: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        total = sums.setdefault(tuple(row[name] for name in by), {name: row[name] for name in by})
        for name, value in row.items():
            if isinstance(value, dict):
                total[name] = dict(Counter(total.get(name, {})) + Counter(value))
            elif name not in by:
                total[name] = total.get(name, 0) + value
    return list(sums.values())


def _show_demo(result: dict[str, Any]) -> None:
    print_counts(result["counts"], "Rows received, by feed, over all runs")
    print_table("Writes to the CRM", result["writes"], ("phase", "table", "state", "rows"))
    for plan_id in result["approved"]:
        CONSOLE.print(f"Plan {plan_id} was larger than the blast radius and waited; approved by {DEMO_APPROVER}.")
    CONSOLE.print(
        f"{result['compared']} CRM rows compared with the ledger: {len(result['unexplained'])} unexplained differences."
    )
    CONSOLE.print(
        f"\nLook around:\n  make ui                                        the same in the Dagster UI\n"
        f"  INTAKE_ENV_FILE={result['data_dir']}/intake.env .venv/bin/crm-intake status\n"
        f"  INTAKE_ENV_FILE={result['data_dir']}/intake.env .venv/bin/crm-intake quarantine list"
    )


@SANDBOX.command("serve")
def serve(
    people: PeopleOption = 5000,
    days: DaysOption = 60,
    seed: SeedOption = 1,
    dataverse: Annotated[bool, typer.Option("--dataverse", help="Only the Dataverse emulator.")] = False,
    directory: Annotated[Path, typer.Option("--dir")] = DEMO_DIR,
    config: ConfigOption = None,
) -> None:
    """The stand-ins on fixed ports until Ctrl-C, with the settings to reach them in DIR/intake.env."""
    from pipelines.demo import SandboxPlan, run_sandbox, start_crm, write_env_file

    with speaking():
        settings = _sandbox_settings(settings_for(config), directory)
        if dataverse:
            with start_crm(settings, directory / "sandbox" / "crm", port=FIXED_PORTS[2]) as emulator:
                CONSOLE.print(f"Dataverse emulator at {emulator.base_url}, CA {emulator.ca_path}. Ctrl-C stops it.")
                _wait()
            return
        plan = SandboxPlan(seed=seed, people=people, days=days, until=_yesterday(settings))
        with run_sandbox(settings, plan, ports=FIXED_PORTS) as sandbox:
            sandbox.show_through(plan.until)
            write_env_file(sandbox.environment, directory / "intake.env")
            CONSOLE.print(
                f"Sandbox running. In another shell: export INTAKE_ENV_FILE={directory}/intake.env  Ctrl-C stops it."
            )
            _wait()


def ui(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="With the stand-ins, and a made-up organisation.")] = False,
    people: PeopleOption = 5000,
    days: DaysOption = 60,
    seed: SeedOption = 1,
    port: Annotated[int, typer.Option(help="The web server's port.")] = 3000,
    host: Annotated[
        str, typer.Option(help="It has no log-in: put a proxy that has before any but this.")
    ] = "127.0.0.1",
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse what changes anything; no daemon.")] = False,
    config: ConfigOption = None,
) -> None:
    """The Dagster web server and daemon on this machine, until Ctrl-C."""
    from pipelines.launch import Listen, serve_ui

    with speaking(), ExitStack() as stack:
        settings = settings_for(config)
        if sandbox:
            settings = with_sandbox(settings, stack, people=people, days=days, seed=seed)
        CONSOLE.print(f"Dagster UI: http://{host}:{port}  (Ctrl-C stops it)")
        serve_ui(settings, Listen(host, port, read_only))


def with_sandbox(settings: Settings, stack: ExitStack, *, people: int, days: int, seed: int) -> Settings:
    """The settings of a sandbox that runs, its files dropped, until the stack ends; this process's environment names it."""
    from pipelines.demo import SandboxPlan, run_sandbox, write_env_file

    settings = _sandbox_settings(settings, DEMO_DIR)
    plan = SandboxPlan(seed=seed, people=people, days=days, until=_yesterday(settings))
    running = stack.enter_context(run_sandbox(settings, plan))
    running.show_through(plan.until)
    running.drop(plan.first_on, plan.until)
    write_env_file(running.environment, DEMO_DIR / "intake.env")
    os.environ["INTAKE_ENV_FILE"] = str((DEMO_DIR / "intake.env").resolve())
    CONSOLE.print(f"Sandbox running: days {plan.first_on} to {plan.until} can be backfilled.")
    return load_settings(**_overrides(running.environment), config_dir=settings.config_dir)


@STORE.command("stop")
def stop(config: ConfigOption = None) -> None:
    """Stop the embedded database servers of this folder."""
    with speaking():
        for directory in (settings_for(config).data_dir, DEMO_DIR):
            stop_server(directory / "postgres")


def _sandbox_settings(settings: Settings, directory: Path) -> Settings:
    return settings.model_copy(update={"data_dir": directory.resolve(), "drop_dir": None})


def _overrides(environment: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("INTAKE_").lower(): value for name, value in environment.items()}


def _yesterday(settings: Settings) -> date:
    return settings.now().astimezone(ZoneInfo("Europe/Helsinki")).date() - timedelta(days=1)


def _forget(directory: Path) -> None:
    """Remove what an earlier demo left; only what a demo makes is touched."""
    if (directory / "postgres").exists():
        stop_server(directory / "postgres")
    for name in ("postgres", "sandbox", "drop", "keys", "dagster"):
        shutil.rmtree(directory / name, ignore_errors=True)


def _wait() -> None:
    stop = {signal.SIGINT, signal.SIGTERM}
    for number in stop:
        signal.signal(number, lambda *_: None)
    signal.sigwait(stop)
