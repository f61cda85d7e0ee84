"""Pictures of the results, drawn from their JSON files alone: `python -m benchmarks.plots [FOLDER]` draws them anew.

`time_by_size.png`      B6, B11 and B13: seconds over rows or known people
`speed_by_latency.png`  B1: rows/s over the CRM's latency
`memory_by_size.png`    B11: peak memory over rows
`b11.png`               B11: time and memory of each contestant, where there are several

A picture is drawn where its results are there, of what there is of them.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.servers import ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = ROOT / "benchmarks" / "results"
# What was measured at one size: the size, and the values of its runs.
Point = tuple[float, Sequence[float]]


def draw_all(folder: Path) -> list[Path]:
    """Draw what the folder's results allow; returns the pictures' paths."""
    results = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("b*.json"))}
    intakes = {name: one for name, one in results.items() if name.startswith("b11")}
    drawn = [
        _draw(folder / "time_by_size.png", _times(results, intakes)),
        _draw(folder / "speed_by_latency.png", _speeds(results)),
        _draw(folder / "memory_by_size.png", _memory(intakes)),
        *(_draw(folder / f"{name}.png", _bars(one)) for name, one in intakes.items() if len(one["contestants"]) > 1),
    ]
    return [path for path in drawn if path]


def _draw(path: Path, panels: Sequence[Callable[["Axes"], None]]) -> Path | None:
    """A picture of panels beside each other; None where there are none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not panels:
        return None
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel(axis)
    figure.savefig(path, dpi=120)
    return path


def _times(results: dict[str, Any], intakes: dict[str, Any]) -> list[Callable[["Axes"], None]]:
    panels = []
    if "b6" in results:
        found = results["b6"]["found"]
        lines = {who: [(one["rows"], one["seconds"]) for one in found if one["who"] == who] for who in _whos(found)}
        panels.append(_lines("B6 identity", "rows", "seconds", lines, scales=("log", "log")))
    if intakes:
        lines = _by_contestant(intakes, "seconds")
        panels.append(_lines("B11 whole intake", "rows", "seconds", lines, scales=("log", "log")))
    if "b13" in results:
        days = results["b13"]["days"]
        line: list[Point] = [(int(people), [day["seconds"] for day in done]) for people, done in days.items()]
        panels.append(_lines("B13 a day of 1,000 rows", "known people", "seconds", {"crm-intake": line}))
    return panels


def _speeds(results: dict[str, Any]) -> list[Callable[["Axes"], None]]:
    swept = results.get("b1", {}).get("by_latency")
    if not swept:
        return []
    line = [(one["latency_ms"], one["rows_per_s"]) for one in swept]
    title = f"B1 first load, {results['b1']['rows_by_latency']:,} rows"
    return [
        _lines(title, "the CRM's latency, ms a request", "rows/s", {"crm-intake": line}, scales=("linear", "linear"))
    ]


def _memory(intakes: dict[str, Any]) -> list[Callable[["Axes"], None]]:
    if not intakes:
        return []
    ours = {
        part: _by_contestant(intakes, f"{part}_mb", only="crm-intake")["crm-intake"] for part in ("process", "server")
    }
    return [_lines("B11 whole intake, crm-intake", "rows", "peak MB", ours)]


def _whos(found: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(one["who"] for one in found))


def _by_contestant(intakes: dict[str, Any], value: str, *, only: str | None = None) -> dict[str, list[Point]]:
    lines: dict[str, list[Point]] = {}
    for one in sorted(intakes.values(), key=lambda one: one["rows"]):
        for who, contestant in one["contestants"].items():
            if only in (None, who):
                lines.setdefault(who, []).append((one["rows"], [run[value] for run in contestant["runs"]]))
    return lines


def _lines(
    title: str,
    over: str,
    what: str,
    lines: dict[str, list[Point]],
    *,
    scales: tuple[str, str] = ("log", "linear"),
) -> Callable[["Axes"], None]:
    """Medians over sizes, with bars from the least to the most."""

    def panel(axis: "Axes") -> None:
        for name, points in lines.items():
            middles = [median(values) for _, values in points]
            low = [middle - min(values) for middle, (_, values) in zip(middles, points, strict=True)]
            high = [max(values) - middle for middle, (_, values) in zip(middles, points, strict=True)]
            sizes = [size for size, _ in points]
            axis.errorbar(sizes, middles, yerr=[low, high], marker="o", capsize=3, label=name)
        axis.set(title=title, xlabel=over, ylabel=what, xscale=scales[0], yscale=scales[1])
        axis.set_ylim(bottom=None if scales[1] == "log" else 0)
        axis.grid(visible=True, alpha=0.3)
        axis.legend()

    return panel


def _bars(summary: dict[str, Any]) -> list[Callable[["Axes"], None]]:
    names = list(summary["contestants"])
    ones = [summary["contestants"][name] for name in names]

    def times(axis: "Axes") -> None:
        low = [one["seconds"] - one["fastest"] for one in ones]
        high = [one["slowest"] - one["seconds"] for one in ones]
        axis.barh(names, [one["seconds"] for one in ones], xerr=[low, high])
        axis.set_xlabel(f"seconds for {summary['rows']:,} rows (median, min to max)")
        axis.invert_yaxis()

    def memory(axis: "Axes") -> None:
        process = [one["process_mb"] for one in ones]
        axis.barh(names, process, label="process")
        axis.barh(names, [one["server_mb"] for one in ones], left=process, label="PostgreSQL")
        axis.set_xlabel("peak memory, MB")
        axis.legend()
        axis.invert_yaxis()

    return [times, memory]


if __name__ == "__main__":
    for path in draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS):
        print(path)
