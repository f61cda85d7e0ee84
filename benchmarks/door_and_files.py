"""The reports of B8 (from a click to the CRM) and B9 (large files to a frame), over what measures them."""

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.asking import Ask, spread
from benchmarks.clicks import Clicks, measure_clicks
from benchmarks.door_load import door_under_load
from benchmarks.limits import Limit, scanning
from benchmarks.reading_files import FILES, compare
from benchmarks.report import Report, Summary

GOAL_CLICK_S, GOAL_FASTER, GOAL_MB = 60.0, 5.0, 2048.0


def run_clicks(directory: Path, ask: Ask) -> Report:
    """`rows` clicks on unsubscribe, two a second (a smoke run: five)."""
    with door_under_load(directory, ask.rows) as door:
        return report_clicks(measure_clicks(door, clicks=ask.rows, per_second=2.0 if ask.rows > 10 else 5.0))


def report_clicks(found: Clicks) -> Report:
    """B8's report of clicks that were measured."""
    ordered, answered = sorted(found.to_crm), sorted(found.answers)
    p99, answer_p99 = (times[min(len(times) - 1, round(0.99 * len(times)))] for times in (ordered, answered))
    middle = statistics.median(ordered)
    limit = Limit("two requests to the CRM, one after the other", 2 * statistics.median(found.requests), "s")
    return Report(
        name="b8",
        title=f"B8 from the click on unsubscribe to the CRM, {len(ordered)} clicks",
        goal=f"p99 at most {GOAL_CLICK_S:g} s",
        headings=["", "median s (min to max)", "p99 s"],
        cells=[
            ["shut in the CRM", spread(ordered), f"{p99:.2f}"],
            ["the click's own answer", spread(answered, 3), f"{answer_p99:.3f}"],
        ],
        facts=[
            "The service and the emulator in processes of their own; the narrow synchronisation follows in this one.",
            "The CRM takes 13 ms a request and 1.1 ms a row, as that of the deliveries does; nobody else is known to it, and"
            " nothing else runs. Gone is whose contact is shut and of whom no consent row is a yes.",
        ],
        data={"to_crm_s": list(found.to_crm), "limit": asdict(limit), "answers_s": list(found.answers)},
        summary=Summary(
            f"p99 {p99:.2f} s",
            "scheduled syncs: minutes to hours",
            limit.beside(middle),
            f"{p99 / GOAL_CLICK_S:.2f} of the goal",
            p99 <= GOAL_CLICK_S,
        ),
    )


def run_reading(directory: Path, ask: Ask) -> Report:
    """A CSV of `rows` megabytes and a workbook of half as many."""
    found = compare(directory, sizes={"csv": ask.rows, "xlsx": ask.rows / 2}, repeat=ask.repeat, seed=ask.seed)
    return report_reading(found, scanning([(directory / f"large.{kind}").read_bytes() for kind in FILES]))


def report_reading(found: dict[str, Any], limit: Limit) -> Report:
    """B9's report of what was compared, beside one pass over the bytes of both files."""
    seconds, memory, faster = found["median_seconds"], found["peak_memory_mb"], found["times_faster"]
    ours_s = seconds["ours csv"] + seconds["ours xlsx"]
    return Report(
        name="b9",
        title=f"B9 {found['megabytes']['csv']:.0f} MB of CSV and {found['megabytes']['xlsx']:.0f} MB of XLSX to a frame",
        goal=f"at least {GOAL_FASTER:g} times as fast as pandas with openpyxl, each of the two, at most {GOAL_MB:g} MB",
        headings=["", "median seconds (min to max)", "CPU s", "peak MB"],
        cells=[
            [name, spread(took), f"{found['median_cpu_seconds'][name]:.2f}", f"{memory[name]:,.0f}"]
            for name, took in found["seconds"].items()
        ],
        facts=[f"Times faster: CSV {faster['csv']:.1f}, XLSX {faster['xlsx']:.1f}, both {faster['both']:.1f}."],
        data={**found, "limit": asdict(limit)},
        summary=Summary(
            f"{ours_s:.1f} s",
            f"pandas {seconds['pandas csv'] + seconds['pandas xlsx']:.1f} s",
            limit.beside(ours_s),
            f"CSV {faster['csv']:.1f} and workbook {faster['xlsx']:.1f} of {GOAL_FASTER:g}",
            min(faster["csv"], faster["xlsx"]) >= GOAL_FASTER
            and max(memory["ours csv"], memory["ours xlsx"]) <= GOAL_MB,
        ),
    )
