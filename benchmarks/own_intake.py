"""Our side of the intake benchmark, as a process of its own: land, shape, gate, merge and plan; nothing is sent.

`python -m benchmarks.own_intake DATA_DIR REGISTER_URL DATABASE [GROUP_ROWS]` over a migrated store; prints one JSON object.
With so many rows a batch that is pulled, a group and a part of a batch, not with what ships: a small run then has many.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import sqlalchemy as sa

from benchmarks.days import FIRST_ON, UNTIL
from connectors import short_courses
from connectors.store import batches
from connectors.store.server import ensure_server
from pipelines.operations import intake
from pipelines.operations.intake import apply_batches
from pipelines.operations.landing import land_feed
from pipelines.operations.planning import write_plan
from pipelines.operations.sessions import Session
from pipelines.operations.workspace import open_workspace
from pipelines.settings import load_settings
from pipelines.transforms import shape
from schemas.mappings import Mapping
from schemas.records import Window


def run(data_dir: Path, register_url: str, database: str) -> dict[str, Any]:
    """The whole intake of what lies in `data_dir`/drop and in the register; what it came to, and seconds by stage."""
    begun = perf_counter()
    now = datetime.combine(UNTIL + timedelta(days=1), datetime.min.time(), UTC)
    settings = load_settings(data_dir=data_dir, short_courses_url=register_url, settle_s=0.05, fixed_now=now)
    workspace = open_workspace(settings, address=ensure_server(data_dir / "postgres").with_database(database))
    session = Session(workspace)
    with session.transaction() as conn:
        batches.start_run(conn, session.run_id, "benchmark", at=session.now)
    stages = {"open": perf_counter() - begun}
    _take(
        session, [one for one in workspace.mappings.values() if one.file is not None or one.table is not None], stages
    )
    begun = perf_counter()
    with session.transaction() as conn:
        plan = write_plan(session, conn)
    stages["plan"] = perf_counter() - begun
    return {"stages": stages, "intents": plan.size, "plan": plan.counts(), **_state(session)}


def _take(session: Session, mappings: Sequence[Mapping], stages: dict[str, float]) -> None:
    begun = perf_counter()
    landed = [batch for one in mappings for batch in land_feed(session, one, Window(FIRST_ON, UNTIL)).landed]
    landed_at = perf_counter()
    gated = apply_batches(session, landed)
    stages["land"], stages["apply"] = landed_at - begun, perf_counter() - landed_at
    if stopped := [(one.batch.feed, one.stop[0]) for one in gated if one.stop]:
        raise RuntimeError(f"{len(stopped)} batches were stopped, the first of feed {stopped[0][0]} ({stopped[0][1]}).")


def _state(session: Session) -> dict[str, Any]:
    """Rows by outcome, contacts and ledger events: what a run that did its work must have left."""
    with session.transaction() as conn:
        counted = batches.run_counts(conn, [session.run_id])
        people = conn.execute(sa.text("select count(*) from intake.person")).scalar_one()
        events = conn.execute(sa.text("select count(*) from intake.consent_event")).scalar_one()
    outcomes = ("rows_read", "quarantined", "withheld", "applied", "unchanged")
    totals = {name: sum(int(row[name]) for row in counted) for name in outcomes}
    return {"rows": totals.pop("rows_read"), "outcomes": totals, "contacts": people, "events": events}


if __name__ == "__main__":
    if len(sys.argv) > 4:
        intake.GROUP_ROWS = shape.PART_ROWS = short_courses.ROWS_A_BATCH = int(sys.argv[4])
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3])) + "\n")
