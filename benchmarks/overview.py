"""All benchmarks on one page: the goal of each, ours, the peers, the physical limit, the ratio, and whether it is met."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.machine import machine
from benchmarks.report import Report
from benchmarks.whole_intake import GOAL_MB, GOAL_RATIO, OURS

_HEADINGS = ("", "goal", "ours", "peers", "limit", "ratio", "met")
# Bytes of a delivered row as text, and what one core reads from memory: the least that any intake costs.
_ROW_BYTES, _MEMORY_BYTES_S = 300, 5e9


@dataclass(frozen=True, slots=True)
class Line:
    """One benchmark's line."""

    name: str
    goal: str
    ours: str
    peers: str
    limit: str
    ratio: str
    met: str


def line_of_report(name: str, report: Report) -> Line:
    """The line of a report."""
    found = report.summary
    met = "-" if found.is_met is None else "yes" if found.is_met else "no"
    return Line(name, report.goal, found.ours, found.peers, found.limit, found.ratio, met)


def line_of_intake(name: str, summary: dict[str, Any]) -> Line:
    """The line of the whole intake, whose report has a form of its own."""
    ours = summary["contestants"][OURS]
    peers = {who: one for who, one in summary["contestants"].items() if who != OURS}
    least_s = summary["rows"] * _ROW_BYTES / _MEMORY_BYTES_S
    slowest = min((one["ratio"] for one in peers.values()), default=0.0)
    met = slowest >= GOAL_RATIO and ours["process_mb"] <= GOAL_MB
    return Line(
        name,
        summary["goal"],
        f"{ours['rows_per_s']:,} rows/s, {ours['process_mb']:,} MB",
        "; ".join(f"{who} {one['rows_per_s']:,} rows/s" for who, one in peers.items()) or "-",
        f"its bytes at memory speed: {least_s:.2f} s; {ours['seconds'] / least_s:,.0f} times that",
        f"{slowest:.2f} of {GOAL_RATIO:g}" if peers else "-",
        "yes" if met else "no" if peers else "-",
    )


def write_overview(lines: list[Line], folder: Path, *, cores: int) -> tuple[Table, str]:
    """Write `overview.json` and `overview.md`; returns the table and where it was written."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine(cores), "benchmarks": [asdict(line) for line in lines]}
    (folder / "overview.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    rows = [list(_HEADINGS), ["---"] * len(_HEADINGS), *([*asdict(line).values()] for line in lines)]
    page = "\n".join(["# All benchmarks", "", *("| " + " | ".join(cells) + " |" for cells in rows), ""])
    (folder / "overview.md").write_text(page)
    table = Table(*_HEADINGS, title="All benchmarks")
    for line in lines:
        table.add_row(*asdict(line).values())
    return table, f"Wrote {folder / 'overview.md'}"
