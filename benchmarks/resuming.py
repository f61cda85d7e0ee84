"""B10: a first load that is killed when half of the rows have landed, and started again: how much is sent twice.

The bare CRM tells how often each contact and consent row came whole (a correction of one column is another write). The
second process is a plain rerun: what has no answer is read back before anything else.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.asking import Ask
from benchmarks.bare_limits import Limits
from benchmarks.consenting import ROWS_A_PERSON, copy_database, make_people
from benchmarks.deliveries import Deliveries, landed, open_deliveries
from benchmarks.report import Report, Summary
from benchmarks.servers import ROOT, BareServer, run_bare_server
from schemas.tables import CONSENT, CONTACT

BATCH = 100
_WAIT_S = 600


def run_resuming(directory: Path, ask: Ask) -> Report:
    """`repeat` loads, each killed at half; RuntimeError where a row is missing in the end."""
    people = make_people(max(2, ask.rows // ROWS_A_PERSON), seed=ask.seed)
    runs = []
    with open_deliveries(directory, writers=None) as deliveries:
        deliveries.seed("people", people)
        # Given rows to begin with, though there are none, the bare CRM lists what is written to it.
        nothing = directory / "nothing.jsonl"
        nothing.touch()
        for number in range(ask.repeat):
            with run_bare_server(directory / "crm", Limits(), nothing) as server:
                found = _killed_and_resumed(deliveries, directory, server, half=len(people) * ROWS_A_PERSON // 2)
                found["landed"] = landed(server, people)
            if found["landed"] != len(people) * ROWS_A_PERSON:
                raise RuntimeError(f"{found['landed']} of {len(people) * ROWS_A_PERSON} rows are as they should be.")
            runs.append(found)
            ask.tell(
                f"run {number + 1} of {ask.repeat}: killed at {found['at_kill']} rows, {found['again']} sent again"
            )
    return _report(runs, len(people) * ROWS_A_PERSON)


def _killed_and_resumed(deliveries: Deliveries, directory: Path, server: BareServer, *, half: int) -> dict[str, Any]:
    database = copy_database(deliveries.address.with_database("people"), "resumed").database
    command = [sys.executable, "-m", "benchmarks.own_delivery", str(directory), str(directory / "config"), database]
    command.append(server.access.as_json())
    at_kill = _kill_at(command, server, half)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The rerun failed: {done.stderr[-1500:]}")
    whole = Counter((name, key) for name, key, columns in server.written() if len(columns) > 2)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return {"at_kill": at_kill, "again": sum(n - 1 for n in whole.values()), "seconds": told["seconds"]}


def _kill_at(command: list[str], server: BareServer, half: int) -> int:
    """Start a delivery, and kill it once the CRM holds that many rows; returns how many it then held."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + _WAIT_S
        while (held := _rows(server)) < half:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"The delivery ended or stood still at {held} of {half} rows, before it was killed.")
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return held


def _rows(server: BareServer) -> int:
    return len(server.rows(CONTACT.entity_set)) + len(server.rows(CONSENT.entity_set))


def _report(runs: list[dict[str, Any]], rows: int) -> Report:
    worst = max(run["again"] for run in runs)
    return Report(
        name="b10",
        title=f"B10 killed at half of {rows:,} rows and started again, {len(runs)} runs",
        goal=f"at most one batch ({BATCH} rows) sent again",
        headings=["run", "rows there at the kill", "rows sent again", "rows landed", "seconds of the rerun"],
        cells=[
            [str(n), f"{r['at_kill']:,}", f"{r['again']:,}", f"{r['landed']:,}", f"{r['seconds']:.1f}"]
            for n, r in enumerate(runs, 1)
        ],
        facts=["From zero would send every row again. The process is killed by SIGKILL, and rerun as it was."],
        data={"rows": rows, "runs": runs},
        summary=Summary(
            f"{worst} rows again",
            f"from zero: {rows:,}",
            "0 rows: an answer that was lost can be asked for",
            f"{worst / BATCH:.2f} batches",
            worst <= BATCH,
        ),
    )
