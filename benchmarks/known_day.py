"""A day of a thousand rows on a store that knows many people already: half of them known, half new.

The rows come as one export of the campaign form, by way of the drop folder; the day ends with the plan, before the CRM.
"""

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

import psutil
from sqlalchemy import text

from benchmarks.seeding import address_of, make_keys
from connectors.store import batches, outbox
from connectors.store.address import ServerAddress
from connectors.store.outbox import Settled
from pipelines.operations.intake import merge_staged, stage_source
from pipelines.operations.landing import land_feed
from pipelines.operations.planning import write_plan
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import Workspace, open_workspace
from pipelines.settings import load_settings
from schemas.intents import IntentState, Phase
from schemas.records import Window

FEED = "web_forms_campaign"
ROWS = 1000
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_COLUMNS = [
    "serial", "sid", "uri", "created", "completed", "changed", "in_draft", "current_page", "remote_addr", "uid",
    "langcode", "entity_type", "entity_id", "locked", "sticky", "notes", "sahkoposti", "etunimi", "sukunimi",
    "aiheet__koulutus", "aiheet__tki", "aiheet__palvelut", "aiheet__tapahtumat", "peruutan_tilauksen", "terveiset",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """What one day cost: seconds on the wall and of processor (process and server), and the writes it planned."""

    seconds: float
    cpu_s: float
    intents: int


@contextmanager
def opened(address: ServerAddress, directory: Path) -> Iterator[Workspace]:
    """The workspace over a seeded store, with a drop folder of its own."""
    settings = load_settings(data_dir=directory, settle_s=0.0, fixed_now=NOW, database_url=address.uri_adbc)
    make_keys(settings.keys_dir())
    workspace = open_workspace(settings, address=address)
    try:
        yield workspace
    finally:
        workspace.engine.dispose()


def take_day(
    workspace: Workspace, number: int, *, known: int, rows: int = ROWS, server: psutil.Process | None = None
) -> Cost:
    """Drop the export of day `number` (each has other people) and take it in, up to the plan.

    Its writes are acknowledged afterwards, outside what is measured: each day begins as one after a good night.
    """
    drop_export(workspace.settings.dropped_files_dir(), number, known=known, rows=rows)
    session = Session(workspace)
    begun, worked = perf_counter(), process_time() + _cpu_s(server)
    with session.transaction() as conn:
        batches.start_run(conn, session.run_id, "benchmark", at=session.now)
    landed = land_feed(session, workspace.mappings[FEED], Window(NOW.date() - timedelta(days=1), NOW.date()))
    if landed.refused:
        raise RuntimeError(f"The day's export was refused: {landed.refused[0].code}.")
    stopped = [one.stop[0] for one in stage_source(session, "web_forms") if one.stop]
    if stopped:
        raise RuntimeError(f"The day's batch was stopped: {stopped[0]}.")
    merge_staged(session, "web_forms")
    with session.transaction() as conn:
        plan = write_plan(session, conn)
    cost = Cost(perf_counter() - begun, process_time() + _cpu_s(server) - worked, plan.size)
    acknowledge(session)
    return cost


def acknowledge(session: Session) -> None:
    """Settle all that the plan wrote as a CRM would that takes everything, phase by phase; what waits is let go."""
    now = session.now
    with session.transaction() as conn:
        conn.execute(
            text("update intake.outbox_intent set state = 'pending' where state = 'waiting' and finished_at is null")
        )
    for phase in Phase:
        with session.transaction() as conn:
            for _, method, table in outbox.open_groups(conn, session.run_id, [phase]):
                claimed, _ = outbox.claim(conn, session.run_id, phase, (method, table), limit=1_000_000, now=now)
                outbox.settle(conn, [Settled(one.intent_id, IntentState.ACKNOWLEDGED) for one in claimed])
    with session.transaction() as conn:
        outbox.close_addresses(conn, session.run_id, now=now)


def drop_export(folder: Path, number: int, *, known: int, rows: int = ROWS) -> Path:
    """The export of one day: every other row of somebody known, spread over all of them."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(_row(number, nth, known, rows) for nth in range(rows))
    payload = out.getvalue().encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"kampanja_{number:06d}.csv"
    path.with_name(f"{path.name}.manifest.json").write_text(json.dumps({"rows": rows}))
    path.write_bytes(payload)
    at = (NOW - timedelta(hours=2) + timedelta(seconds=number)).timestamp()
    os.utime(path, (at, at))
    return path


def _row(number: int, nth: int, known: int, rows: int) -> dict[str, str]:
    step = max(1, known // rows)
    one = 1 + (nth * step + number * 7919) % known
    address = address_of(one) if nth % 2 else f"new.{number:06d}.{nth:05d}@example.org"
    return {
        "serial": str(nth),
        "sid": f"{number}{nth:06d}",
        "completed": "2026-11-20 09:00:00",
        "changed": "2026-11-20 09:00:00",
        "in_draft": "0",
        "sahkoposti": address,
        "etunimi": "Aino",
        "sukunimi": "Esimerkki",
        "aiheet__koulutus": "X",
        "peruutan_tilauksen": "1" if nth % 10 == 1 else "0",
    }


def _cpu_s(server: psutil.Process | None) -> float:
    """Processor seconds of a server so far, its living and its ended children's included."""
    if server is None:
        return 0.0
    own = server.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in server.children():
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
