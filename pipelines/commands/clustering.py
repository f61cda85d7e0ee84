"""`worker`, `cluster` and `upgrade`: the pipeline on workers, as one of them or as all of them on this machine.

What they need is imported where it is used: no other command waits for Dagster.
"""

import time
from contextlib import ExitStack, suppress
from typing import Annotated

import typer

from connectors.store import migrate
from connectors.store.roles import SHORTEST_PASSWORD
from connectors.store.server import logging_faults
from connectors.store.service_logins import SERVICE_LOGINS, bring_logins
from pipelines.commands.console import CONSOLE, ConfigOption, settings_for, speaking
from pipelines.commands.sandboxing import DaysOption, PeopleOption, with_sandbox
from pipelines.operations.watching import told_of_log
from pipelines.operations.workspace import server_address
from pipelines.settings import Settings
from schemas.errors import ConfigurationError

# Of a trial on one machine: where more workers end than this, it is not a machine that was lost.
MOST_REPLACED = 20

NameOption = Annotated[str, typer.Option("--name", help="The worker's name; one of its own on each machine.")]


def worker(
    name: NameOption = "worker",
    processes: Annotated[int, typer.Option(min=1, help="Steps at once.")] = 1,
    config: ConfigOption = None,
) -> None:
    """Execute steps of runs handed out over the broker, until stopped. SIGTERM finishes the steps under way."""
    from pipelines.workers import serve_worker

    with speaking():
        serve_worker(settings_for(config), name=name, processes=processes)


def cluster(
    workers: Annotated[int, typer.Option(min=1, max=8, help="Workers of one process each.")] = 2,
    port: Annotated[int, typer.Option(help="The web server's port, on the loopback address only.")] = 3000,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="With the stand-ins, and a made-up organisation.")] = False,
    people: PeopleOption = 5000,
    days: DaysOption = 60,
    config: ConfigOption = None,
) -> None:
    """The web UI, the daemon and workers on this machine, over RabbitMQ where one answers; until Ctrl-C."""
    from pipelines.launch import stop_as_interrupted

    stop_as_interrupted()
    with speaking(), ExitStack() as stack, suppress(KeyboardInterrupt):
        settings = settings_for(config)
        if sandbox:
            settings = with_sandbox(settings, stack, people=people, days=days, seed=1)
        _serve(settings, workers, port)


def upgrade(config: ConfigOption = None) -> None:
    """Bring the store and Dagster's own database to the layout of this version; done already, it changes nothing.

    After a new version is installed, while nothing else runs. The deployment's logins whose passwords the environment has
    (INTAKE_DB_SERVICE_PASSWORD and so on) are made, and brought to this password and to their rights. It warns where the
    server's own log would hold people's data.
    """
    from pipelines.launch import dagster_instance

    with speaking():
        settings = settings_for(config)
        passwords = _passwords(settings)
        address = server_address(settings)
        migrate.upgrade(address)
        with dagster_instance(settings, address) as instance:
            instance.upgrade()
        brought = bring_logins(address, passwords)
        CONSOLE.print("The store and Dagster's database have the layout of this version.")
        if brought:
            CONSOLE.print(f"Logins with their rights: {', '.join(brought)}.", markup=False)
        for fault in logging_faults(address):
            CONSOLE.print(told_of_log(fault), style="yellow", markup=False)


def _passwords(settings: Settings) -> dict[str, str]:
    """By name in SERVICE_LOGINS, of those that are given."""
    told = {name: getattr(settings, f"db_{name}_password") for name in SERVICE_LOGINS}
    passwords = {name: password.get_secret_value() for name, password in told.items() if password is not None}
    if short := [name for name, password in passwords.items() if len(password) < SHORTEST_PASSWORD]:
        names = ", ".join(f"INTAKE_DB_{name.upper()}_PASSWORD" for name in short)
        raise ConfigurationError(
            f"{names}: fewer than {SHORTEST_PASSWORD} characters. Give a longer one; nothing was done."
        )
    return passwords


def _serve(settings: Settings, workers: int, port: int) -> None:
    from pipelines.cluster import local_workers, replace_ended
    from pipelines.launch import Listen, served_ui
    from pipelines.workers import scheme_of, with_broker

    address = server_address(settings)
    settings = with_broker(settings, address)
    with (
        local_workers(settings, workers, address=address) as crew,
        served_ui(settings, Listen(port=port), address=address) as ui,
    ):
        CONSOLE.print(f"Dagster UI: {ui.url}, {workers} workers over {scheme_of(settings)}  (Ctrl-C stops all)")
        replaced = 0
        while ui.is_running() and replaced <= MOST_REPLACED:
            time.sleep(1)
            replaced += replace_ended(crew, settings, address=address)
    CONSOLE.print(
        f"The web server or the daemon ended, or more than {MOST_REPLACED} workers did; "
        "their logs are in the data directory's `dagster`."
    )
