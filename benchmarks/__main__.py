"""`python -m benchmarks [NAME] [--rows N] [--repeat K]`: run a benchmark, or all, print tables and write the results."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.admitted_rate import run_admitted_rate
from benchmarks.asking import Ask
from benchmarks.consenting import ROWS_A_PERSON
from benchmarks.deliveries import Terms
from benchmarks.door_and_files import run_clicks, run_reading
from benchmarks.first_load import run_first_load
from benchmarks.first_report import run_first_report
from benchmarks.flat_cost import run_flat_cost
from benchmarks.fold_speed import run_fold_speed
from benchmarks.identity_speed import run_identity_speed
from benchmarks.known_contacts import run_changed, run_unchanged
from benchmarks.measuring import pin_to_cores
from benchmarks.overview import Line, line_of_intake, line_of_report, order_of, table_of_all, write_overview
from benchmarks.plots import RESULTS, draw_all
from benchmarks.poison import run_poison
from benchmarks.report import Report, as_measured, write_report
from benchmarks.report import table_of as report_table
from benchmarks.reporting import summarise, table_of, write_results
from benchmarks.resuming import run_resuming
from benchmarks.side_by_side import run_side_by_side
from benchmarks.whole_intake import run_whole_intake
from benchmarks.worker_speed import run_worker_speed


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark by its name: how many rows at its published size (what a row is, its module says), and its run.

    `smoke` is the size at which the tests run it.
    """

    rows: int
    smoke: int
    run: Callable[[Path, Ask], Report]


def _delivery(run: Callable[[Path, Terms], Report]) -> Callable[[Path, Ask], Report]:
    """A delivery benchmark: its rows are contacts and consent rows together."""

    def asked(directory: Path, ask: Ask) -> Report:
        people = max(1, ask.rows // ROWS_A_PERSON)
        return run(directory, Terms(people, ask.repeat, ask.seed, ask.writers, ask.peers, ask.tell))

    return asked


# A new benchmark is a line here: its name, its published and its smoke size, its function.
BENCHMARKS: dict[str, Benchmark] = {
    "B1": Benchmark(40_000, 200, _delivery(run_first_load)),
    "B2": Benchmark(200_000, 400, _delivery(run_changed)),
    "B3": Benchmark(200_000, 400, _delivery(run_unchanged)),
    "B4": Benchmark(10_000, 400, _delivery(run_admitted_rate)),
    "B5": Benchmark(20_000, 400, _delivery(run_poison)),
    "B6": Benchmark(1_000_000, 2_000, run_identity_speed),
    "B7": Benchmark(1_000_000, 1_000, run_fold_speed),
    "B8": Benchmark(200, 3, run_clicks),
    "B9": Benchmark(100, 1, run_reading),
    "B10": Benchmark(20_000, 600, run_resuming),
    "B12": Benchmark(1, 0, run_first_report),
    "B13": Benchmark(1_000_000, 1_000, run_flat_cost),
    "B14": Benchmark(30, 1, run_worker_speed),
    "side_by_side": Benchmark(10_000, 400, _delivery(run_side_by_side)),
}
INTAKE, INTAKE_ROWS = "B11", 100_000
NAMES = sorted([*BENCHMARKS, INTAKE], key=order_of)


def main(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}; all of them unless one is named.")] = "all",
    rows: Annotated[
        int, typer.Option(min=0, help="Its size (rows, people, days), at least; 0: the published one.")
    ] = 0,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each, of which the median is told.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the made-up people.")] = 1,
    peers: Annotated[bool, typer.Option(help="Whether the peers run too.")] = True,
    writers: Annotated[int, typer.Option(min=0, help="Our writers to the CRM; 0: as the policy ships.")] = 0,
    kept: Annotated[
        Path | None,
        typer.Option(help="Folder in which B11 keeps what it reads and B13 its known people for the next run."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Measure, print and write down. Of all, one that fails is told, and the others are run."""
    if name not in (*NAMES, "all"):
        raise typer.BadParameter(f"'{name}' is none of {', '.join(NAMES)}.")
    console, cores = Console(), pin_to_cores()
    lines: list[Line] = []
    failed: list[str] = []
    for one in NAMES if name == "all" else [name]:
        console.rule(one)
        asked = Ask(rows, repeat, seed, peers, console.print, writers or None, kept and kept.resolve())
        try:
            line, table, paths = _measured(one, asked, out, cores)
        except Exception:
            if name != "all":
                raise
            console.print_exception()
            failed.append(one)
            continue
        lines.append(line)
        console.print(table)
        for path in [*paths, *draw_all(out), write_overview([line], out, cores=cores)]:
            console.print(f"Wrote {path}")
    if name == "all":
        console.print(table_of_all(lines))
    if failed:
        console.print(f"Failed, and not in the table: {', '.join(failed)}")
        raise typer.Exit(1)


def _measured(name: str, ask: Ask, out: Path, cores: int) -> tuple[Line, Table, list[Path]]:
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        if name == INTAKE:
            return _intake(Path(directory), ask, out, cores)
        benchmark = BENCHMARKS[name]
        sized = replace(ask, rows=ask.rows or benchmark.rows)
        report = as_measured(benchmark.run(Path(directory), sized), is_full=sized.rows >= benchmark.rows)
        return line_of_report(name, report), report_table(report), write_report(report, out, cores=cores, seed=ask.seed)


def _intake(directory: Path, ask: Ask, out: Path, cores: int) -> tuple[Line, Table, list[Path]]:
    options: dict[str, Any] = {"repeat": ask.repeat, "seed": ask.seed, "peers": ask.peers, "tell": ask.tell}
    outcome = run_whole_intake(ask.kept or directory, rows=ask.rows or INTAKE_ROWS, **options)
    summary = summarise(outcome, seed=ask.seed, cores=cores)
    return line_of_intake(INTAKE, summary), table_of(summary), write_results(summary, out)


if __name__ == "__main__":
    typer.run(main)
