"""All benchmarks on one page: the goal of each, ours, the peers, the physical limit, the ratio, and whether it is met.

Below the table, those that were not met, with the reason and the next thing to try. A line stays until its benchmark is run
again, so that a run that was broken off, or one benchmark by itself, leaves the page whole.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.machine import machine
from benchmarks.report import Report
from benchmarks.reporting import limits_of
from benchmarks.unmet import IF_MISSED
from benchmarks.whole_intake import GOAL_RATIO, OURS

_HEADINGS = ("", "goal", "ours", "peers", "limit", "ratio", "met", "measured")
_MET = {None: "-", True: "yes", False: "no"}


@dataclass(frozen=True, slots=True)
class Line:
    """One benchmark's line; `measured` is the day."""

    name: str
    goal: str
    ours: str
    peers: str
    limit: str
    ratio: str
    met: str
    measured: str = field(default_factory=lambda: str(datetime.now(UTC).date()))

    @property
    def missed(self) -> str:
        """Why it was not met and what to try next, as far as is known by now; empty where it was."""
        return str(IF_MISSED[self.name.lower()]) if self.met == _MET[False] else ""

    def cells(self) -> list[str]:
        """Its cells in the table."""
        return [self.name, self.goal, self.ours, self.peers, self.limit, self.ratio, self.met, self.measured]


def line_of_report(name: str, report: Report) -> Line:
    """The line of a report."""
    found = report.summary
    return Line(name, report.goal, found.ours, found.peers, found.limit, found.ratio, _MET[found.is_met])


def line_of_intake(name: str, summary: dict[str, Any]) -> Line:
    """The line of the whole intake, whose report has a form of its own."""
    ours = summary["contestants"][OURS]
    peers = {who: one for who, one in summary["contestants"].items() if who != OURS}
    slowest = min((one["ratio"] for one in peers.values()), default=0.0)
    return Line(
        name,
        summary["goal"],
        f"{ours['rows_per_s']:,} rows/s, {ours['process_mb']:,} MB",
        "; ".join(f"{who} {one['rows_per_s']:,} rows/s" for who, one in peers.items()) or "-",
        limits_of(summary),
        f"{slowest:.2f} of {GOAL_RATIO:g}" if peers else "-",
        _MET[summary["is_met"]],
    )


def write_overview(lines: list[Line], folder: Path, *, cores: int) -> Path:
    """Write `overview.json` and `overview.md` with these lines in place of what the folder's had of the same name.

    In the order of numbers; returns the page's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept, page = folder / "overview.json", folder / "overview.md"
    before = json.loads(kept.read_text())["benchmarks"] if kept.exists() else []
    named = {line.name: line for line in [*(Line(**one) for one in before), *lines]}
    now = sorted(named.values(), key=lambda line: order_of(line.name))
    told = {"machine": machine(cores), "benchmarks": [asdict(line) for line in now]}
    kept.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    page.write_text(_page(now))
    return page


def order_of(name: str) -> tuple[bool, int]:
    """Where a benchmark stands: by its number, and what has none at the end."""
    return (False, int(name[1:])) if name.startswith("B") else (True, 0)


def table_of_all(lines: list[Line]) -> Table:
    """The lines as a table for the terminal."""
    table = Table(*_HEADINGS, title="All benchmarks", caption="\n".join(_not_met(lines)))
    for line in lines:
        table.add_row(*line.cells())
    return table


def _page(lines: list[Line]) -> str:
    rows = [list(_HEADINGS), ["---"] * len(_HEADINGS), *(line.cells() for line in lines)]
    table = ["| " + " | ".join(cells) + " |" for cells in rows]
    missed = [f"- {told}" for told in _not_met(lines)]
    below = ["## Not met", "", *missed, ""] if missed else []
    return "\n".join(["# All benchmarks", "", *table, "", *below])


def _not_met(lines: list[Line]) -> list[str]:
    return [f"{line.name}: {line.missed}" for line in lines if line.missed]
