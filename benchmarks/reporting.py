"""The report of the intake benchmark: a table on the terminal, and JSON and Markdown in a folder of results."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.limits import Limit
from benchmarks.machine import machine, pins, versions
from benchmarks.measuring import Run
from benchmarks.unmet import IF_MISSED
from benchmarks.whole_intake import GOAL_MB, GOAL_RATIO, LEFT_OUT, OURS, Outcome

_PACKAGES = ("pandas", "pyarrow", "sqlalchemy", "psycopg", "adbc-driver-postgresql", "great-expectations")
_HEADINGS = (
    "",
    "seconds (min to max)",
    "rows/s",
    "its time / ours",
    "CPU s: process + server",
    "process MB",
    "server MB",
)


def summarise(outcome: Outcome, *, seed: int, cores: int) -> dict[str, Any]:
    """All that is reported, as plain data: medians over the runs, the runs themselves, and where they were made."""
    ours = median(run.seconds for run in outcome.runs[OURS])
    contestants = {name: _contestant(runs, outcome, ours=ours) for name, runs in outcome.runs.items()}
    is_met = is_goal_met(contestants)
    return {
        "benchmark": "B11 whole intake",
        "goal": f"at least {GOAL_RATIO:g} times as fast as either peer; at most {GOAL_MB:g} MB",
        "rows": outcome.inputs.rows,
        "rows_by_door": outcome.inputs.rows_by_door,
        "seed": seed,
        "machine": machine(cores),
        "versions": versions(_PACKAGES),
        "peers": pins(),
        "limits": [asdict(limit) for limit in outcome.limits],
        "left_out": {name: LEFT_OUT[name] for name in outcome.runs if name in LEFT_OUT},
        "is_met": is_met,
        "missed": str(IF_MISSED["b11"]) if is_met is False else "",
        "contestants": contestants,
    }


def is_goal_met(contestants: dict[str, dict[str, Any]]) -> bool | None:
    """Whether ours is fast and small enough; None where no peer ran and the memory is in bounds."""
    ratios = [one["ratio"] for name, one in contestants.items() if name != OURS]
    if contestants[OURS]["process_mb"] > GOAL_MB:
        return False
    return min(ratios) >= GOAL_RATIO if ratios else None


def _contestant(runs: list[Run], outcome: Outcome, *, ours: float) -> dict[str, Any]:
    seconds = [run.seconds for run in runs]
    return {
        "seconds": round(median(seconds), 2),
        "fastest": round(min(seconds), 2),
        "slowest": round(max(seconds), 2),
        "rows_per_s": round(outcome.inputs.rows / median(seconds)),
        "ratio": round(median(seconds) / ours, 2),
        "process_cpu_s": round(median(run.process_cpu_s for run in runs), 2),
        "server_cpu_s": round(median(run.server_cpu_s for run in runs), 2),
        "process_mb": round(max(run.process_mb for run in runs)),
        "server_mb": round(max(run.server_mb for run in runs)),
        "runs": [asdict(run) for run in runs],
    }


def table_of(summary: dict[str, Any]) -> Table:
    """The summary as a table for the terminal."""
    title = f"{summary['benchmark']}: {summary['rows']} rows, {summary['machine']['cores_used']} cores"
    caption = "\n".join([f"Goal: {summary['goal']}. Seed {summary['seed']}.", *_missed(summary)])
    table = Table(*_HEADINGS, title=title, caption=caption)
    for cells in _rows(summary):
        table.add_row(*cells)
    return table


def limits_of(summary: dict[str, Any]) -> str:
    """In words, how far ours is from the physical limits of the same run."""
    seconds = summary["contestants"][OURS]["seconds"]
    return "; ".join(Limit(**one).beside(seconds) for one in summary["limits"])


def _missed(summary: dict[str, Any]) -> list[str]:
    return [f"Not met: {summary['missed']}"] if summary["missed"] else []


def _rows(summary: dict[str, Any]) -> list[list[str]]:
    return [
        [
            name,
            f"{one['seconds']:.1f} ({one['fastest']:.1f} to {one['slowest']:.1f})",
            f"{one['rows_per_s']:,}",
            "1" if name == OURS else f"{one['ratio']:.2f}",
            f"{one['process_cpu_s']:.1f} + {one['server_cpu_s']:.1f}",
            f"{one['process_mb']:,}",
            f"{one['server_mb']:,}",
        ]
        for name, one in summary["contestants"].items()
    ]


def write_results(summary: dict[str, Any], folder: Path) -> list[Path]:
    """Write `b11.json` and `b11.md` into the folder, `b11_1m.json` and so on for millions; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"b11_{summary['rows'] / 1e6:.0f}m" if summary["rows"] >= 1_000_000 else "b11"
    paths = [folder / f"{name}.{suffix}" for suffix in ("json", "md")]
    paths[0].write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    paths[1].write_text(_markdown(summary))
    return paths


def _markdown(summary: dict[str, Any]) -> str:
    rows = [list(_HEADINGS), ["---"] * len(_HEADINGS), *_rows(summary)]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    doors = ", ".join(f"{count} by {door}" for door, count in summary["rows_by_door"].items())
    stages = summary["contestants"][OURS]["runs"][0]["told"]["stages"]
    facts = [
        f"Goal: {summary['goal']}. {summary['rows']} rows ({doors}), seed {summary['seed']}.",
        *_missed(summary),
        f"Limit: {limits_of(summary)}.",
        "Each run is a process from start to end, imports and all, on an empty database of one durable server.",
        "Ours, by stage in the first run: " + ", ".join(f"{name} {took:.1f} s" for name, took in stages.items()) + ".",
        *(f"{name} leaves out {what}." for name, what in summary["left_out"].items()),
        "Machine: " + ", ".join(f"{name} {value}" for name, value in summary["machine"].items()) + ".",
        "Versions: " + ", ".join(f"{name} {value}" for name, value in summary["versions"].items()) + ".",
        "Peers: " + ", ".join(summary["peers"]) + ".",
    ]
    return "\n".join([f"# {summary['benchmark']}", "", *lines, "", *(f"- {fact}" for fact in facts), ""])
