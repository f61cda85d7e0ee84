"""B12: from a clone to the first dry-run report by one command, with the packages in the installer's cache.

The clone is of this very project; a small file lies in its drop folder, so that the report has something to say.
"""

import os
import shutil
import subprocess
from pathlib import Path
from time import perf_counter

from benchmarks.asking import Ask, spread
from benchmarks.known_day import drop_export
from benchmarks.report import Report, Summary
from benchmarks.servers import ROOT
from connectors.store.server import stop_server

GOAL_S = 60.0
_COMMAND = ["make", "plan", "ARGS=--json --source web_forms --from 2026-11-19 --to 2026-11-20"]


def run_first_report(directory: Path, ask: Ask) -> Report:
    """Clone and `make plan`, `repeat` times; the first fills the cache and is not counted."""
    seconds = []
    for number in range(ask.repeat + 1):
        took = _once(directory / f"clone{number}")
        if number:
            seconds.append(took)
        ask.tell(f"{'run ' + str(number) if number else 'cache filled'}: {took:.1f} s")
    middle = sorted(seconds)[len(seconds) // 2]
    return Report(
        name="b12",
        title=f"B12 from a clone to the first dry-run report, {len(seconds)} runs",
        goal=f"at most {GOAL_S:g} s, one command",
        headings=["", "seconds (min to max)"],
        cells=[["git clone, make plan", spread(seconds, 1)]],
        facts=["`make plan` makes its environment from the lock file, starts the embedded server and migrates it."],
        data={"seconds": seconds},
        summary=Summary(
            f"{middle:.1f} s", "-", "installing from the cache alone", f"{middle / GOAL_S:.2f}", middle <= GOAL_S
        ),
    )


def _once(clone: Path) -> float:
    begun = perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    drop_export(clone / ".intake" / "drop", 1, known=100, rows=50)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("INTAKE_", "UV_PROJECT", "VIRTUAL_ENV"))}
    done = subprocess.run(_COMMAND, cwd=clone, env=inherited, capture_output=True, text=True, check=False)
    seconds = perf_counter() - begun
    stop_server(clone / ".intake" / "postgres")
    shutil.rmtree(clone)
    if done.returncode != 0 or '"counts"' not in done.stdout:
        raise RuntimeError(f"`make plan` failed ({done.returncode}): {done.stderr[-1500:]}")
    return seconds
