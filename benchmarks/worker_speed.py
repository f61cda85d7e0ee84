"""B14: a backfill of a synthetic organisation's days by one process, and by one, two and four workers over a broker.

Every contestant begins with an empty store and an empty CRM; the end states are compared by what the CRM holds.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter

import orjson

from benchmarks.asking import Ask, Server, own_server
from benchmarks.inputs import fresh_database
from benchmarks.limits import Limit
from benchmarks.report import Report, Summary
from benchmarks.servers import ROOT
from connectors.store.address import ServerAddress
from connectors.store.migrate import upgrade
from pipelines.assets.intake import NOUNS
from pipelines.cluster import cut, local_workers, run_on_workers
from pipelines.demo import RunningSandbox, SandboxPlan, run_sandbox
from pipelines.launch import run_in_process
from pipelines.settings import Settings, load_settings
from pipelines.workers import scheme_of, with_broker
from schemas.records import Window

UNTIL = date(2026, 11, 20)
CREWS = (1, 2, 4)
PEOPLE_A_DAY, GOAL_DAYS = 20, 30
_SHOWN = {
    "contacts": ("emailaddress1", "firstname", "lastname", "donotbulkemail", "followemail"),
    "msdynmkt_contactpointconsent4s": ("msdynmkt_contactpointvalue", "msdynmkt_value", "_msdynmkt_purposeid_value"),
}


def run_worker_speed(directory: Path, ask: Ask, crews: Sequence[int] = CREWS) -> Report:
    """Backfill `rows` days by one process and by each crew; RuntimeError where an end state differs from that of one process."""
    found: dict[str, tuple[float, str]] = {}
    broker = ""
    with own_server(directory) as server:
        for name, crew in [("one process", 0), *((f"{n} workers", n) for n in crews)]:
            with _system(directory / name.replace(" ", "_"), server, days=ask.rows) as (settings, address, sandbox):
                begun = perf_counter()
                _take_in(settings, address, crew)
                found[name] = perf_counter() - begun, _digest(sandbox)
                broker = scheme_of(with_broker(settings, address))
            ask.tell(f"{name}: {found[name][0]:.1f} s")
            if found[name][1] != found["one process"][1]:
                raise RuntimeError(f"{name}: the CRM ends otherwise than with one process.")
    return report_workers({name: seconds for name, (seconds, _) in found.items()}, ask.rows, broker)


@contextmanager
def _system(directory: Path, server: Server, *, days: int) -> Iterator[tuple[Settings, ServerAddress, RunningSandbox]]:
    plan = SandboxPlan(people=max(30, PEOPLE_A_DAY * days), days=days, until=UNTIL)
    store = fresh_database(server.address, f"crew_{directory.name}")
    dagster = fresh_database(server.address, f"dagster_{directory.name}")
    address = replace(store, dagster_database=dagster.database)
    upgrade(address)
    settings = load_settings(
        data_dir=directory,
        config_dir=ROOT / "config",
        database_url=address.uri_adbc,
        fixed_now=datetime.combine(UNTIL + timedelta(days=1), time(1), UTC),
        partitions_first_on=str(plan.first_on),
        partitions_per_run=1,
    )
    with run_sandbox(settings, plan) as sandbox:
        sandbox.show_through(UNTIL)
        sandbox.drop(plan.first_on, UNTIL)
        given = {name.removeprefix("INTAKE_").lower(): value for name, value in sandbox.environment.items()}
        parsed = Settings.model_validate({**given, "blast_radius_rows": 1_000_000})
        told = {name: getattr(parsed, name) for name in [*given, "blast_radius_rows"]}
        yield settings.model_copy(update=told), address, sandbox


def _take_in(settings: Settings, address: ServerAddress, crew: int) -> None:
    window = Window(date.fromisoformat(settings.partitions_first_on), UNTIL)
    sources = list(NOUNS)
    if crew:
        with local_workers(settings, crew, address=address):
            ended = [run_on_workers(settings, sources=sources, window=window, address=address)]
    else:
        ended = [run_in_process(settings, sources=sources, window=day, address=address) for day in cut(window, 1)]
    for one in ended:
        if set(one.states.values()) != {"success"}:
            raise RuntimeError(f"A run of {one.window.first_on} failed: {one.states}.")


def _digest(sandbox: RunningSandbox) -> str:
    rows = {
        table: sorted(
            [str(row.get(column)).lower() for column in columns] for row in sandbox.emulator.control.rows(table)
        )
        for table, columns in _SHOWN.items()
    }
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()


def report_workers(seconds: dict[str, float], days: int, broker: str) -> Report:
    """B14's report: the fastest crew beside one process; met only where crews took as many days as the goal has."""
    alone = seconds["one process"]
    crews = [name for name in seconds if name != "one process"] or list(seconds)
    fastest = min(crews, key=lambda name: seconds[name])
    limit = Limit("the cores", len(os.sched_getaffinity(0)), "times as fast")
    return Report(
        name="b14",
        title=f"B14 a backfill of {days} days by one process and by workers",
        goal="the same end state; the speed-up is stated",
        headings=["", "seconds", "speed-up"],
        cells=[[name, f"{took:.1f}", f"{alone / took:.2f}"] for name, took in seconds.items()],
        facts=[
            f"Over {broker}. One process runs day by day; the time of workers holds their start, some seconds each.",
            "Every step is a task: on small days its way over the broker costs more than the step.",
        ],
        data={"seconds": seconds, "limit": asdict(limit), "days": days, "broker": broker},
        summary=Summary(
            f"{fastest}: {alone / seconds[fastest]:.2f} times as fast",
            "one process: 1",
            limit.beside(alone / seconds[fastest]),
            f"{days} of {GOAL_DAYS} days",
            True if days >= GOAL_DAYS and len(seconds) > 1 else None,
        ),
    )
