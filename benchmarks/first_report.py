"""B12: from a clone to the first dry-run report by one command, with the packages in the installer's cache.

The clone is of this very project; a small file lies in its drop folder, so that the report has something to say.
"""

import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.asking import Ask, spread
from benchmarks.known_day import drop_export
from benchmarks.limits import Limit
from benchmarks.report import Report, Summary
from benchmarks.servers import ROOT
from connectors.store.server import stop_server

GOAL_S = 60.0
_PLAN = ["plan", "ARGS=--json --source web_forms --from 2026-11-19 --to 2026-11-20"]


def run_first_report(directory: Path, ask: Ask) -> Report:
    """Clone and `make plan`, `repeat` times; before them `rows` times to fill the cache, which are not counted."""
    runs = []
    for number in range(ask.rows + ask.repeat):
        runs.append(_once(directory / f"clone{number}"))
        ask.tell(f"clone {number + 1}{'' if number >= ask.rows else ', to fill the cache'}: {runs[-1][0]:.1f} s")
    seconds, installing = (list(times) for times in zip(*runs[ask.rows :], strict=True))
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


def _once(clone: Path) -> tuple[float, float]:
    """Seconds to the report; and to make the environment alone, once more."""
    begun = perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    drop_export(clone / ".intake" / "drop", 1, known=100, rows=50)
    shown = _make(clone, *_PLAN)
    seconds = perf_counter() - begun
    stop_server(clone / ".intake" / "postgres")
    if '"counts"' not in shown:
        raise RuntimeError("`make plan` showed no counts.")
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
