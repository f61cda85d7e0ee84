"""All benchmarks on one page: the goal of each, ours, the peers, the physical limit, the ratio, and whether it is met.

Below the table, those that were not met in this run, with the reason and the next thing to try.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.machine import machine
from benchmarks.report import Report
from benchmarks.reporting import limits_of
from benchmarks.whole_intake import GOAL_RATIO, OURS

_HEADINGS = ("", "goal", "ours", "peers", "limit", "ratio", "met")
_MET = {None: "-", True: "yes", False: "no"}


@dataclass(frozen=True, slots=True)
class Line:
    """One benchmark's line. `missed` says why it was not met and what to try next, empty where it was."""

    name: str
    goal: str
    ours: str
    peers: str
    limit: str
    ratio: str
    met: str
    missed: str

    def cells(self) -> list[str]:
        """Its cells in the table."""
        return [self.name, self.goal, self.ours, self.peers, self.limit, self.ratio, self.met]


def line_of_report(name: str, report: Report) -> Line:
    """The line of a report."""
    found = report.summary
    missed = str(report.missed or "")
    return Line(name, report.goal, found.ours, found.peers, found.limit, found.ratio, _MET[found.is_met], missed)


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
        summary["missed"],
    )


def write_overview(lines: list[Line], folder: Path, *, cores: int) -> tuple[Table, str]:
    """Write `overview.json` and `overview.md`; returns the table and where it was written."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine(cores), "benchmarks": [asdict(line) for line in lines]}
    (folder / "overview.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    (folder / "overview.md").write_text(_page(lines))
    table = Table(*_HEADINGS, title="All benchmarks", caption="\n".join(_not_met(lines)))
    for line in lines:
        table.add_row(*line.cells())
    return table, f"Wrote {folder / 'overview.md'}"


def _page(lines: list[Line]) -> str:
    rows = [list(_HEADINGS), ["---"] * len(_HEADINGS), *(line.cells() for line in lines)]
    table = ["| " + " | ".join(cells) + " |" for cells in rows]
    missed = [f"- {told}" for told in _not_met(lines)]
    below = ["## Not met in this run", "", *missed, ""] if missed else []
    return "\n".join(["# All benchmarks", "", *table, "", *below])


def _not_met(lines: list[Line]) -> list[str]:
    return [f"{line.name}: {line.missed}" for line in lines if line.missed]
