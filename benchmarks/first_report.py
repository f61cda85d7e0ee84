"""B12: from a clone to the first dry-run report by one command, with the packages in the installer's cache.

The clone is of this very project; entries of staff lie in its drop folder, the one source that needs no settings, so that the
report has something to say.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.asking import Ask, spread
from benchmarks.limits import Limit
from benchmarks.report import Report, Summary
from benchmarks.servers import ROOT
from connectors.store.server import stop_server
from sandbox import drop_folder
from sandbox.organisation import make_organisation

GOAL_S = 60.0
FIRST_ON, LAST_ON = date(2026, 11, 19), date(2026, 11, 20)
OPTIONS = ["--json", "--source", "manual", "--from", str(FIRST_ON), "--to", str(LAST_ON)]


def run_first_report(directory: Path, ask: Ask) -> Report:
    """Clone and `make plan`, `repeat` times; before them `rows` times to fill the cache, which are not counted."""
    runs = []
    for number in range(ask.rows + ask.repeat):
        runs.append(_once(directory / f"clone{number}"))
        ask.tell(f"clone {number + 1}{'' if number >= ask.rows else ', to fill the cache'}: {runs[-1][0]:.1f} s")
    return report_of(runs[ask.rows :])


def report_of(runs: Sequence[tuple[float, float]]) -> Report:
    """The report of runs: seconds to the first report, and of installing alone."""
    seconds, installing = (list(times) for times in zip(*runs, strict=True))
    middle, limit = median(seconds), Limit("installing from the cache alone", median(installing), "s")
    return Report(
        name="b12",
        title=f"B12 from a clone to the first dry-run report, {len(seconds)} runs",
        goal=f"at most {GOAL_S:g} s, one command",
        headings=["", "seconds (min to max)"],
        cells=[["git clone, make plan", spread(seconds, 1)]],
        facts=["`make plan` makes its environment from the lock file, starts the embedded server and migrates it."],
        data={"seconds": seconds, "limit": asdict(limit)},
        summary=Summary(f"{middle:.1f} s", "-", limit.beside(middle), f"{middle / GOAL_S:.2f}", middle <= GOAL_S),
    )


def drop_entries(folder: Path) -> None:
    """A few entries of staff on each of the two days, among files that are not asked for."""
    organisation = make_organisation(seed=1, people=100, days=2, until=LAST_ON)
    drop_folder.drop_files(organisation, folder, first_on=FIRST_ON, last_on=LAST_ON)


def rows_read(shown: str) -> int:
    """How many rows a dry-run report has read, by its JSON; make has words before and, called by another make, after it."""
    told, _ = json.JSONDecoder().raw_decode(shown, shown.index("{"))
    return sum(int(one["rows_read"]) for one in told["counts"])


def _once(clone: Path) -> tuple[float, float]:
    """Seconds to the report; and to make the environment alone, once more."""
    begun = perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    drop_entries(clone / ".intake" / "drop")
    try:
        shown = _make(clone, "plan", f"ARGS={' '.join(OPTIONS)}")
        seconds = perf_counter() - begun
    finally:
        stop_server(clone / ".intake" / "postgres")
    if not rows_read(shown):
        raise RuntimeError("`make plan` read no row.")
    shutil.rmtree(clone / ".venv")
    begun = perf_counter()
    _make(clone, "setup")
    installing = perf_counter() - begun
    shutil.rmtree(clone)
    return seconds, installing


def _make(clone: Path, *targets: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("INTAKE_", "UV_PROJECT", "VIRTUAL_ENV"))}
    done = subprocess.run(["make", *targets], cwd=clone, env=inherited, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`make {targets[0]}` failed ({done.returncode}): {done.stderr[-1500:]}")
    return done.stdout
