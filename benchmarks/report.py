"""The report of a delivery benchmark: a table on the terminal, and JSON and Markdown in a folder of results."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.machine import machine, pins, versions
from benchmarks.unmet import IF_MISSED, Unmet

_PACKAGES = ("requests", "urllib3", "orjson", "psycopg", "sqlalchemy", "uvicorn")


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the overview, in words; `is_met` None where it could not be told, for want of peers or of size."""

    ours: str
    peers: str
    limit: str
    ratio: str
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a benchmark found: `cells` are rows under `headings`, `facts` are sentences below, `data` is everything.

    `summary` is one line of the overview: ours, the peers, the physical limit and how far from it, the ratio to the goal.
    """

    name: str
    title: str
    goal: str
    headings: list[str]
    cells: list[list[str]]
    facts: list[str]
    data: dict[str, Any]
    summary: Summary

    @property
    def missed(self) -> Unmet | None:
        """Why its goal was missed in this run, and what to try next; None where it was not."""
        return IF_MISSED[self.name] if self.summary.is_met is False else None


def as_measured(report: Report, *, is_full: bool) -> Report:
    """The report as it may be told: no goal is met at less than the size that it is set for."""
    if is_full or report.summary.is_met is not True:
        return report
    return replace(report, summary=replace(report.summary, is_met=None))


def table_of(report: Report) -> Table:
    """The report as a table for the terminal."""
    table = Table(*report.headings, title=report.title, caption="\n".join(_against_goal(report)))
    for cells in report.cells:
        table.add_row(*cells)
    return table


def write_report(report: Report, folder: Path, *, cores: int, seed: int) -> list[Path]:
    """Write `NAME.json` and `NAME.md` into the folder, with machine, versions and seed; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    where = {"seed": seed, "machine": machine(cores), "versions": versions(_PACKAGES), "peers": pins()}
    paths = [folder / f"{report.name}.json", folder / f"{report.name}.md"]
    summary = {"benchmark": report.title, "goal": report.goal, **where, **report.data}
    paths[0].write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    paths[1].write_text(_markdown(report, where))
    return paths


def _against_goal(report: Report) -> list[str]:
    return [f"Goal: {report.goal}.", *([f"Not met: {report.missed}"] if report.missed else [])]


def _markdown(report: Report, where: dict[str, Any]) -> str:
    rows = [report.headings, ["---"] * len(report.headings), *report.cells]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    facts = [
        *_against_goal(report),
        f"Limit: {report.summary.limit}.",
        *report.facts,
        f"Seed {where['seed']}.",
        "Machine: " + ", ".join(f"{name} {value}" for name, value in where["machine"].items()) + ".",
        "Versions: " + ", ".join(f"{name} {value}" for name, value in where["versions"].items()) + ".",
        "Peers: " + ", ".join(where["peers"]) + ".",
    ]
    return "\n".join([f"# {report.title}", "", *lines, "", *(f"- {fact}" for fact in facts), ""])
